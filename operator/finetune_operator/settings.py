"""What the people who run the operator decide, for all jobs alike."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class PodSettings:
    """What every pod of a job gets, whatever its author wrote."""

    run_as_user: int | None = 65532
    """User of all containers; None leaves it to the cluster, as OpenShift wants."""
    run_as_group: int | None = 65532
    """Group of all containers; None as above."""
    fs_group: int | None = 65532
    """Group that may write the volumes; None as above."""
    scratch_size: str = "10Gi"
    """Bound of the emptyDir behind HOME, TMPDIR and the caches."""
    shared_memory_size: str = "8Gi"
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
    fetch_environment: Mapping[str, str] = field(default_factory=dict)
    """Variables of the container that fetches from outside: proxies, certificates."""


@dataclass(frozen=True)
class NetworkSettings:
    """Ports of a run, and who may reach them."""

    master_port: int = 29500
    """Where rank 0 listens for its peers; its pod has an address of its own, so it may be the same for all."""
    progress_port: int = 8080
    """Where rank 0 serves /progress and /metrics."""
    operator_namespace: str = "finetune-system"
    """Where the operator runs."""
    operator_labels: Mapping[str, str] = field(default_factory=lambda: {"app.kubernetes.io/name": "finetune-operator"})
    """Labels of the operator's pods."""
    metrics_namespaces: tuple[str, ...] = ()
    """Namespaces whose pods, such as Prometheus, may read the progress port."""


@dataclass(frozen=True)
class TimingSettings:
    """How long the operator waits, in seconds."""

    survivor_grace: int = 5
    """Between SIGTERM and SIGKILL for pods whose peer has failed: they cannot finish anything."""
    cause_window: int = 3
    """How long after an echo of a failure (a lost peer) its cause may still come to light."""
    backoff_base: int = 2
    """The second attempt in a row without a new checkpoint waits this long, each further one twice as long."""
    backoff_most: int = 300
    """Bound of that wait."""
    refusal_retry: int = 30
    """How long nothing is created after the API server has refused a child."""


@dataclass(frozen=True)
class Settings:
    """All settings of the operator that decisions depend on."""

    trainer_image: str = "finetune-trainer:latest"
    """Image of jobs that name none."""
    priority_classes: tuple[str, ...] = ()
    """Priority classes that jobs may ask for."""
    fruitless_disruptions: int = 5
    """So many disruptions in a row without a new checkpoint fail a job."""
    pods: PodSettings = field(default_factory=PodSettings)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    timing: TimingSettings = field(default_factory=TimingSettings)
