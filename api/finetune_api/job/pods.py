"""What a job may add to its pods: an allow-list, merged by name."""

from collections.abc import Iterable
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field

from finetune_api.config.section import checked
from finetune_api.job.cel import BY_MOUNT_PATH, BY_NAME, Cel, Shape
from finetune_api.job.part import AbsolutePath, LabelName, Name, Part, Quantity, Reference, SubPath
from finetune_api.job.policies import LabelKey, LabelValue, Resources
from finetune_api.job.volumes import ClaimSource

RESERVED_ENV: Final = frozenset(
    {
        *("MASTER_ADDR", "MASTER_PORT", "RANK", "LOCAL_RANK", "GROUP_RANK", "ROLE_RANK", "WORLD_SIZE"),
        *("LOCAL_WORLD_SIZE", "GROUP_WORLD_SIZE", "ROLE_WORLD_SIZE", "ROLE_NAME", "HOSTNAME", "HOME", "USER"),
        *("TMPDIR", "HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "HF_TOKEN", "HF_TOKEN_PATH"),
        *("HUGGING_FACE_HUB_TOKEN", "TRITON_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR", "XDG_CACHE_HOME"),
        *("PYTHONPATH", "PYTHONSAFEPATH"),
    }
)
RESERVED_ENV_PREFIXES: Final = ("PET_", "TORCHELASTIC_", "FINETUNE_", "KUBERNETES_")
RESERVED_LABEL_DOMAINS: Final = ("finetune.dev", "kubernetes.io", "k8s.io")
RESERVED_CONTAINERS: Final = ("fetch", "fetch-model", "prepare", "trainer")
RESERVED_VOLUMES: Final = ("certificates", "code", "config", "dataset", "model", "output", "scratch", "shared-memory")
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


def _reserved(names: tuple[str, ...]) -> tuple[BeforeValidator, Cel]:
    """Return the check, in Python and in CEL, that a name is none of the operator's."""

    def check(name: object) -> None:
        if name in names:
            raise ValueError(f"{name} is what the operator calls one of its own; choose another name")

    sentence = "is what the operator calls one of its own; choose another name"
    return checked(check), Cel(f"!(self in {sorted(names)})", sentence, f"self + ' {sentence}'")


def _starts_with(prefixes: Iterable[str]) -> str:
    return " || ".join(f"self.startsWith('{prefix}')" for prefix in prefixes)


_VARIABLE: Final = Shape(r"[A-Za-z_][A-Za-z0-9_]*", "is not the name of a variable; write letters, digits and _")
EnvName = Annotated[
    str,
    Field(max_length=253),
    checked(_check_env_name),
    _VARIABLE,
    Cel(
        f"!(self in {sorted(RESERVED_ENV)}) && !({_starts_with(RESERVED_ENV_PREFIXES)})",
        "is set by the operator; choose another name",
        "self + ' is set by the operator; choose another name'",
    ),
]
NetworkName = Annotated[
    str,
    Field(max_length=253),
    checked(_check_network_name),
    _VARIABLE,
    Cel(
        _starts_with(NETWORK_PREFIXES),
        "is not a network variable; put it under podTemplate.env",
        "self + ' is not a network variable; put it under podTemplate.env'",
    ),
]
ContainerName = Annotated[LabelName, *_reserved(RESERVED_CONTAINERS)]
VolumeName = Annotated[LabelName, *_reserved(RESERVED_VOLUMES)]
OwnLabelKey = Annotated[LabelKey, checked(_check_label)]
_OWNED_KEY: Final = f"key.matches(r'^([^/]*[.])?({'|'.join(RESERVED_LABEL_DOMAINS).replace('.', '[.]')})/')"
_OWN_KEYS: Final = Cel(
    f"!self.exists(key, {_OWNED_KEY})",
    f"keys of {', '.join(RESERVED_LABEL_DOMAINS)} are reserved; choose another prefix",
    f"self.filter(key, {_OWNED_KEY})[0] + ' is reserved; choose another prefix'",
)
Labels = Annotated[dict[OwnLabelKey, LabelValue], Field(max_length=64), _OWN_KEYS]
Annotations = Annotated[dict[OwnLabelKey, Annotated[str, Field(max_length=65536)]], Field(max_length=64), _OWN_KEYS]
Argument = Annotated[str, Field(max_length=32768)]


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

    medium: Literal["", "Memory"] | None = Field(default=None, description="Memory: in RAM; unset: on disk.")
    size_limit: Quantity | None = Field(default=None, description="Bound, such as 10Gi.")


class PodVolume(Part):
    """A further volume; exactly one kind."""

    name: VolumeName = Field(description="Name that volumeMounts refer to; those of the operator's are reserved.")
    persistent_volume_claim: ClaimSource | None = Field(default=None, description="A claim.")
    config_map: Reference | None = Field(default=None, description="A ConfigMap.")
    empty_dir: EmptyDir | None = Field(default=None, description="Scratch space.")


class VolumeMount(Part):
    """Where a further volume appears in the container."""

    name: LabelName = Field(description="Name of the volume.")
    mount_path: AbsolutePath = Field(description="Directory in the container.")
    sub_path: SubPath | None = Field(default=None, description="Directory of the volume.")
    read_only: bool = Field(default=False, description="Whether it cannot be written.")


class Sidecar(Part):
    """A container beside the trainer; its security context is the operator's."""

    name: ContainerName = Field(description="Name of the container; those of the operator's are reserved.")
    image: str = Field(min_length=1, max_length=1024, description="Image of the container.")
    command: list[Argument] = Field(default_factory=list, max_length=256, description="Entry point.")
    args: list[Argument] = Field(default_factory=list, max_length=256, description="Arguments.")
    env: Annotated[list[EnvVar], Field(max_length=256), BY_NAME] = Field(
        default_factory=list, description="Environment."
    )
    resources: Resources = Field(default_factory=Resources, description="Resources.")
    volume_mounts: Annotated[list[VolumeMount], Field(max_length=32), BY_MOUNT_PATH] = Field(
        default_factory=list, description="Mounts."
    )


class PodTemplate(Part):
    """Additions to every training pod."""

    labels: Labels = Field(default_factory=dict, description="Further labels.")
    annotations: Annotations = Field(default_factory=dict, description="Further annotations.")
    env: Annotated[list[EnvVar], Field(max_length=256), BY_NAME] = Field(
        default_factory=list, description="Further variables."
    )
    volumes: Annotated[list[PodVolume], Field(max_length=64), BY_NAME] = Field(
        default_factory=list, description="Further volumes."
    )
    volume_mounts: Annotated[list[VolumeMount], Field(max_length=64), BY_MOUNT_PATH] = Field(
        default_factory=list,
        description="Where the trainer sees further volumes.",
    )
    sidecars: Annotated[list[Sidecar], Field(max_length=16), BY_NAME] = Field(
        default_factory=list, description="Further containers."
    )


class Networking(Part):
    """How ranks on different nodes reach each other."""

    rdma_resource: LabelKey | None = Field(
        default=None, description="Device resource of an RDMA network card, one per node."
    )
    env: Annotated[list[NetworkEnvVar], Field(max_length=64), BY_NAME] = Field(
        default_factory=list,
        description="Variables of the communication libraries.",
    )
