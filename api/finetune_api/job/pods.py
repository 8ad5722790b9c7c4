"""What a job may add to its pods: an allow-list, merged by name."""

from typing import Annotated, Final

from pydantic import Field

from finetune_api.config.section import checked
from finetune_api.job.part import AbsolutePath, Name, Part, Reference, SubPath
from finetune_api.job.policies import LabelKey, Resources
from finetune_api.job.volumes import ClaimSource

RESERVED_ENV: Final = frozenset(
    {
        *("MASTER_ADDR", "MASTER_PORT", "RANK", "LOCAL_RANK", "GROUP_RANK", "ROLE_RANK", "WORLD_SIZE"),
        *("LOCAL_WORLD_SIZE", "GROUP_WORLD_SIZE", "ROLE_WORLD_SIZE", "ROLE_NAME", "HOSTNAME", "HOME", "USER"),
        *("TMPDIR", "HF_HOME", "HF_HUB_OFFLINE", "HF_TOKEN", "TRITON_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR"),
        *("XDG_CACHE_HOME", "PYTHONPATH"),
    }
)
RESERVED_ENV_PREFIXES: Final = ("PET_", "TORCHELASTIC_", "FINETUNE_", "KUBERNETES_")
RESERVED_LABEL_DOMAINS: Final = ("finetune.dev", "kubernetes.io", "k8s.io")
NETWORK_PREFIXES: Final = ("NCCL_", "GLOO_", "UCX_", "FI_", "RCCL_")


def _check_env_name(name: object) -> None:
    if isinstance(name, str) and (name in RESERVED_ENV or name.startswith(RESERVED_ENV_PREFIXES)):
        raise ValueError(f"{name} is set by the operator; choose another name")


def _check_network_name(name: object) -> None:
    if isinstance(name, str) and not name.startswith(NETWORK_PREFIXES):
        raise ValueError(f"{name} is not a network variable; put it under podTemplate.env")


def _check_label(key: object) -> None:
    domain = key.partition("/")[0] if isinstance(key, str) and "/" in key else ""
    if any(domain == owned or domain.endswith(f".{owned}") for owned in RESERVED_LABEL_DOMAINS):
        raise ValueError(f"{key} belongs to {domain}; choose another prefix")


_ENV_NAME: Final = r"^[A-Za-z_][A-Za-z0-9_]*$"
EnvName = Annotated[str, Field(max_length=253, pattern=_ENV_NAME), checked(_check_env_name)]
NetworkName = Annotated[str, Field(max_length=253, pattern=_ENV_NAME), checked(_check_network_name)]
OwnLabelKey = Annotated[LabelKey, checked(_check_label)]


class KeyReference(Part):
    """One key of a Secret or ConfigMap."""

    name: Name = Field(description="Name of the object.")
    key: str = Field(min_length=1, max_length=253, description="Key in it.")
    optional: bool = Field(default=False, description="Whether the object or key may be missing.")


class EnvSource(Part):
    """Where the value of a variable comes from; exactly one."""

    secret_key_ref: KeyReference | None = Field(default=None, description="A key of a Secret.")
    config_map_key_ref: KeyReference | None = Field(default=None, description="A key of a ConfigMap.")


class EnvVar(Part):
    """An environment variable of the training container."""

    name: EnvName = Field(description="Name; those of torchrun and of the operator are reserved.")
    value: str | None = Field(default=None, max_length=32768, description="Value.")
    value_from: EnvSource | None = Field(default=None, description="Where the value comes from.")


class NetworkEnvVar(Part):
    """A variable of a communication library."""

    name: NetworkName = Field(description="NCCL_…, RCCL_…, GLOO_…, UCX_… or FI_….")
    value: str = Field(max_length=32768, description="Value.")


class EmptyDir(Part):
    """Scratch space that lives as long as the pod."""

    medium: Annotated[str, Field(pattern=r"^(Memory)?$")] | None = Field(
        default=None, description="Memory: in RAM; unset: on disk."
    )
    size_limit: str | None = Field(default=None, max_length=32, description="Bound, such as 10Gi.")


class PodVolume(Part):
    """A further volume; exactly one kind."""

    name: Name = Field(description="Name that volumeMounts refer to.")
    persistent_volume_claim: ClaimSource | None = Field(default=None, description="A claim.")
    config_map: Reference | None = Field(default=None, description="A ConfigMap.")
    empty_dir: EmptyDir | None = Field(default=None, description="Scratch space.")


class VolumeMount(Part):
    """Where a further volume appears in the container."""

    name: Name = Field(description="Name of the volume.")
    mount_path: AbsolutePath = Field(description="Directory in the container.")
    sub_path: SubPath | None = Field(default=None, description="Directory of the volume.")
    read_only: bool = Field(default=False, description="Whether it cannot be written.")


class Sidecar(Part):
    """A container beside the trainer; its security context is the operator's."""

    name: Name = Field(description="Name of the container.")
    image: str = Field(min_length=1, max_length=1024, description="Image of the container.")
    command: list[str] = Field(default_factory=list, max_length=256, description="Entry point.")
    args: list[str] = Field(default_factory=list, max_length=256, description="Arguments.")
    env: list[EnvVar] = Field(default_factory=list, max_length=256, description="Environment.")
    resources: Resources = Field(default_factory=Resources, description="Resources.")
    volume_mounts: list[VolumeMount] = Field(default_factory=list, max_length=64, description="Mounts.")


class PodTemplate(Part):
    """Additions to every training pod."""

    labels: dict[OwnLabelKey, str] = Field(default_factory=dict, description="Further labels.")
    annotations: dict[OwnLabelKey, str] = Field(default_factory=dict, description="Further annotations.")
    env: list[EnvVar] = Field(default_factory=list, max_length=256, description="Further variables.")
    volumes: list[PodVolume] = Field(default_factory=list, max_length=64, description="Further volumes.")
    volume_mounts: list[VolumeMount] = Field(
        default_factory=list, max_length=64, description="Where the trainer sees further volumes."
    )
    sidecars: list[Sidecar] = Field(default_factory=list, max_length=16, description="Further containers.")


class Networking(Part):
    """How ranks on different nodes reach each other."""

    rdma_resource: LabelKey | None = Field(
        default=None, description="Device resource of an RDMA network card, one per node."
    )
    env: list[NetworkEnvVar] = Field(
        default_factory=list, max_length=64, description="Variables of the communication libraries."
    )
