"""How a job is prepared, retried, timed, cleaned up, placed and scaled."""

from typing import Annotated, Final, Literal

from pydantic import Field

from finetune_api.config.section import checked
from finetune_api.job.part import Count, Name, Part, Quantities, RawObject, Seconds

LabelKey = Annotated[str, Field(min_length=1, max_length=317)]
LabelValue = Annotated[str, Field(max_length=63)]
NonNegative = Annotated[int, Field(ge=0, le=2**31 - 1)]
REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"


def _check_affinity(affinity: object) -> None:
    """Hold an affinity to the form that lets the operator add terms of its own; the API server judges the rest."""
    found = affinity if isinstance(affinity, dict) else {}
    to_pods = _mapping(found.get("podAffinity"), "podAffinity")
    _list(to_pods.get(REQUIRED), f"podAffinity.{REQUIRED}")
    to_nodes = _mapping(found.get("nodeAffinity"), "nodeAffinity")
    required = _mapping(to_nodes.get(REQUIRED), f"nodeAffinity.{REQUIRED}")
    place = f"nodeAffinity.{REQUIRED}.nodeSelectorTerms"
    for index, term in enumerate(_list(required.get("nodeSelectorTerms"), place)):
        _list(_mapping(term, f"{place}[{index}]").get("matchFields"), f"{place}[{index}].matchFields")


def _mapping(value: object, place: str) -> dict[str, object]:
    if value is not None and not isinstance(value, dict):
        raise ValueError(f"{place} is not a mapping; write it as in a pod")
    return value or {}


def _list(value: object, place: str) -> list[object]:
    if value is not None and not isinstance(value, list):
        raise ValueError(f"{place} is not a list; write it as in a pod")
    return value or []


Affinity = Annotated[RawObject, checked(_check_affinity)]


class Resources(Part):
    """Resources of one node's pod."""

    requests: Quantities = Field(default_factory=dict, description="What is reserved: cpu, memory, ….")
    limits: Quantities = Field(
        default_factory=dict, description="What may be used; GPUs (nvidia.com/gpu, amd.com/gpu) go here."
    )


class Elastic(Part):
    """Bounds within which the number of nodes may change, by `nodes` or where not all of them can be had."""

    min_nodes: Count = Field(description="Fewest nodes a run may continue on when no more can be had.")
    max_nodes: Count = Field(description="Most nodes a run may use.")


class TimeToLive(Part):
    """How long pods and other children stay after the end; unset: until the job is deleted."""

    succeeded: NonNegative | None = Field(default=None, description="Seconds after success.")
    failed: NonNegative | None = Field(default=None, description="Seconds after failure.")


class RunPolicy(Part):
    """Restarts, deadlines and clean-up; all but cleanPods and the grace period may change while the job runs."""

    suspend: bool = Field(default=False, description="true: save a checkpoint, delete the pods and wait; false: go on.")
    max_restarts: Annotated[int, Field(ge=0, le=1000)] = Field(
        default=3, description="Failures that are retried; disruptions do not count."
    )
    active_deadline_seconds: Seconds | None = Field(
        default=None, description="Bound on the running time of all attempts together; unset: none."
    )
    pending_deadline_seconds: Seconds | None = Field(
        default=None, description="How long pods may wait to be scheduled and pulled; unset: for ever."
    )
    step_timeout_seconds: Seconds | None = Field(
        default=None,
        description="Longest time for an optimizer step; a run that exceeds it hangs: the attempt ends, naming the "
        "rank that fell silent. The first step of an attempt, saves, evaluations and loading have longer bounds of "
        "their own; unset: ten times the longest step measured, at least two minutes.",
    )
    preflight: bool | None = Field(
        default=None,
        description="Whether nodes and the network between them are looked at before each attempt trains; unset: with "
        "more than one node.",
    )
    ttl_seconds_after_finished: TimeToLive = Field(
        default_factory=TimeToLive, description="When children of a finished job are deleted."
    )
    delete_job_after_seconds: Seconds | None = Field(
        default=None, description="When a finished job itself is deleted; unset: never."
    )
    clean_pods: Literal["Running", "All", "None"] = Field(
        default="Running",
        description="Which pods are deleted at the end; finished ones keep their logs. None keeps also those that "
        "still run, unless a deadline ended the job.",
    )
    grace_period_seconds: Annotated[int, Field(ge=0, le=3600)] = Field(
        default=120,
        description="Time to save a checkpoint after SIGTERM; an attempt gets more when earlier ones saved slowly.",
    )


class Toleration(Part):
    """A taint that pods of the job tolerate."""

    key: str | None = Field(default=None, max_length=317, description="Key of the taint; unset: all.")
    operator: Literal["Equal", "Exists"] = Field(default="Equal", description="How the value is compared.")
    value: str | None = Field(default=None, max_length=63, description="Value of the taint.")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        default=None, description="Effect of the taint; unset: all."
    )
    toleration_seconds: NonNegative | None = Field(
        default=None, description="How long a NoExecute taint is tolerated; unset: for ever."
    )


NodeSelector = Annotated[dict[LabelKey, LabelValue], Field(max_length=64)]
Tolerations = Annotated[list[Toleration], Field(max_length=64)]


class Prepare(Part):
    """How the dataset is prepared before training."""

    mode: Literal["Auto", "Pod", "Inline"] = Field(
        default="Auto",
        description="Pod: in a pod of its own; Inline: in rank 0's pod, for local sources; "
        "Auto: Inline for CPU jobs on one node, else Pod.",
    )
    resources: Resources = Field(
        default_factory=Resources, description="Resources of the prepare pod, which needs no GPU."
    )
    node_selector: NodeSelector = Field(
        default_factory=dict, description="Labels that the prepare pod's node must have; scheduling's do not apply."
    )
    tolerations: Tolerations = Field(default_factory=list, description="Taints that the prepare pod tolerates.")


class Scheduling(Part):
    """Where pods may run, and who places them."""

    queue_name: Name | None = Field(
        default=None, description="Queue of Kueue or Volcano in which the pods wait; unset: Volcano's default queue."
    )
    priority_class_name: Name | None = Field(
        default=None, description="Priority class of the pods; only one that the operator allows."
    )
    runtime_class_name: Name | None = Field(
        default=None, description="Runtime class of the pods, such as nvidia; only one that the operator allows."
    )
    scheduler_name: Name | None = Field(
        default=None, description="Scheduler of the pods; unset: the one that belongs to gang."
    )
    gang: Literal["None", "Kueue", "Volcano", "Coscheduling"] = Field(
        default="None", description="What places all pods of an attempt together."
    )
    node_selector: NodeSelector = Field(default_factory=dict, description="Labels that nodes must have.")
    tolerations: Tolerations = Field(default_factory=list, description="Taints that are tolerated.")
    affinity: Affinity = Field(default_factory=dict, description="A Kubernetes affinity, verbatim.")
    topology_key: LabelKey | None = Field(
        default=None, description="Node label within whose one value all pods should run."
    )
