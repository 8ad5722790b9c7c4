"""What the people who run the operator decide, for all jobs alike; `settings_file` reads it from YAML."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

from finetune_api.job.part import Name, Quantity

KEYS: Final = ConfigDict(alias_generator=to_camel, validate_by_name=False, validate_by_alias=True, extra="forbid")
"""How a file writes these classes: camelCase keys, nothing unknown."""

Id = Annotated[int, Field(strict=True, ge=1, le=2**31 - 1)]
"""A user or group; 0 would be root, which no pod of a job may be."""
Port = Annotated[int, Field(strict=True, ge=1024, le=65535)]
"""A port that a process without privileges may open."""
Seconds = Annotated[int, Field(strict=True, ge=0, le=86400)]
Count = Annotated[int, Field(strict=True, ge=1, le=1000)]


@dataclass(frozen=True)
class PodSettings:
    """What every pod of a job gets, whatever its author wrote."""

    __pydantic_config__ = KEYS

    run_as_user: Id | None = 65532
    """User of all containers; None leaves it to the cluster, as OpenShift wants."""
    run_as_group: Id | None = 65532
    """Group of all containers; None as above."""
    fs_group: Id | None = 65532
    """Group that may write the volumes; None as above."""
    scratch_size: Quantity = "10Gi"
    """Bound of the emptyDir behind HOME, TMPDIR and the caches."""
    shared_memory_size: Quantity = "8Gi"
    """Bound of /dev/shm, through which ranks of one node talk; it counts as the pod's memory only as it is used."""
    annotations: Mapping[str, str] = field(
        default_factory=lambda: {
            "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
            "karpenter.sh/do-not-disrupt": "true",
            "linkerd.io/inject": "disabled",
            "sidecar.istio.io/inject": "false",
        }
    )
    """Keeps autoscalers from moving a pod in the middle of a run, and meshes from getting between the ranks."""
    labels: Mapping[str, str] = field(default_factory=lambda: {"sidecar.istio.io/inject": "false"})
    """Meshes read labels too."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    """When images of jobs that do not say so are pulled; None: Kubernetes' own rule."""
    image_pull_secrets: tuple[Name, ...] = ()
    """Secrets, in each job's namespace, with which every pod may pull; those of the job come on top."""
    fetch_environment: Mapping[str, str] = field(default_factory=dict)
    """Variables of the container that fetches from outside, such as HTTPS_PROXY and NO_PROXY."""
    ca_config_map: Name | None = None
    """ConfigMap, in each job's namespace, with all certificates that the container that fetches shall trust."""
    ca_key: str = "ca.crt"
    """Key of that ConfigMap."""
    rdma_ipc_lock: Annotated[bool, Field(strict=True)] = False
    """Whether pods with `networking.rdmaResource` may lock memory, which Pod Security *restricted* forbids."""


@dataclass(frozen=True)
class NetworkSettings:
    """Ports of a run, and who may reach them."""

    __pydantic_config__ = KEYS

    master_port: Port = 29500
    """Where rank 0 listens for its peers; its pod has an address of its own, so it may be the same for all."""
    progress_port: Port = 8080
    """Where rank 0 serves /progress and /metrics."""
    operator_namespace: Name = "finetune-system"
    """Where the operator runs."""
    operator_labels: Mapping[str, str] = field(default_factory=lambda: {"app.kubernetes.io/name": "finetune-operator"})
    """Labels of the operator's pods."""
    metrics_namespaces: tuple[Name, ...] = ()
    """Namespaces whose pods, such as Prometheus, may read the progress port."""


@dataclass(frozen=True)
class TimingSettings:
    """How long the operator waits, in seconds."""

    __pydantic_config__ = KEYS

    survivor_grace: Seconds = 5
    """Between SIGTERM and SIGKILL for pods whose peer has failed: they cannot finish anything."""
    cause_window: Seconds = 3
    """How long after a failure that another pod may have caused that one may still say so."""
    dead_node_window: Seconds = 60
    """How long after a lost connection a peer that says nothing may turn out to be on a dead node: somewhat longer than
    the cluster takes to find that out (node-monitor-grace-period)."""
    backoff_base: Seconds = 2
    """The second attempt in a row without a new checkpoint waits this long, each further one twice as long."""
    backoff_most: Seconds = 300
    """Bound of that wait."""
    refusal_retry: Annotated[int, Field(strict=True, ge=1, le=86400)] = 30
    """How long nothing is created after the API server has refused a child."""
    placement_deadline: Annotated[int, Field(strict=True, ge=1, le=86400)] = 60
    """How long a pod may find no node before an elastic job goes on with fewer, or before no node is avoided."""
    mount_patience: Annotated[int, Field(strict=True, ge=1, le=86400)] = 10
    """How long a pod may wait for its volumes before the objects behind them are looked for, and between looks."""


@dataclass(frozen=True)
class Settings:
    """All settings of the operator that decisions depend on."""

    __pydantic_config__ = KEYS

    trainer_image: Annotated[str, Field(min_length=1, max_length=1024)] = "finetune-trainer:latest"
    """Image of jobs that name none."""
    priority_classes: tuple[Name, ...] = ()
    """Priority classes that jobs may ask for."""
    service_accounts: tuple[Name, ...] = ()
    """Service accounts that pods of jobs may run as; none of them sees a token."""
    runtime_classes: tuple[Name, ...] = ()
    """Runtime classes that jobs may ask for."""
    fruitless_disruptions: Count = 5
    """So many disruptions in a row without a new checkpoint fail a job."""
    pods: PodSettings = field(default_factory=PodSettings)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    timing: TimingSettings = field(default_factory=TimingSettings)
