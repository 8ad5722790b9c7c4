"""A pod as it was seen: the few facts of its body that decisions depend on."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from finetune_api.job.pods import RESERVED_CONTAINERS
from finetune_api.names import PREPARE_ROLE, ROLE_LABEL, place_of
from finetune_api.outcomes import TerminationMessage

Raw = Mapping[str, Any]

_REJECTIONS: Final = re.compile(r"OutOf\S+|UnexpectedAdmissionError|NodeAffinity|NodePorts|TopologyAffinityError")
"""What the kubelet says of a pod that it refuses to run."""
_REMOVALS: Final = frozenset(
    {"ContainerStatusUnknown", "Evicted", "NodeLost", "NodeShutdown", "Preempting", "Shutdown", "Terminated", "Unknown"}
)
"""What is said of a pod that was made to leave a node, or that its node forgot while it restarted: the kubelet says
ContainerStatusUnknown, and containerd that it ended with 255 for Unknown."""
_TARGETS: Final = ("DisruptionTarget", "TerminationTarget")
"""Conditions of a pod that is being taken away: by Kubernetes, and by Kueue."""
_IMAGE_WAITS: Final = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable"}
)
_OBJECT_WAITS: Final = frozenset({"CreateContainerConfigError", "CreateContainerError"})


@dataclass(frozen=True)
class Wait:
    """Why a pod does not start, by the names that conditions have for it."""

    reason: str
    message: str


@dataclass(frozen=True)
class SeenPod:
    """One pod; times are those of the cluster."""

    name: str
    uid: str
    attempt: int | None
    """None for the pod that prepares."""
    rank: int
    """Of the node, within its attempt."""
    phase: str
    created: datetime | None = None
    deleting: bool = False
    """Somebody asked for its end."""
    leaves: datetime | None = None
    """When its grace is over, if somebody asked for its end."""
    gone: bool = False
    """It exists no more; this is the last that was seen of it."""
    node: str | None = None
    ip: str | None = None
    started: datetime | None = None
    """When the main container began, by the clock of its node."""
    finished: datetime | None = None
    """When its first container failed, or the main one ended."""
    exit_code: int | None = None
    """Of the container that decides."""
    reason: str = ""
    """Of the container's end (OOMKilled, Error), or of the pod's (Evicted, OutOfcpu)."""
    note: str = ""
    """What the pod's own status says for a person."""
    message: TerminationMessage | None = None
    told: str = ""
    """The termination message as it was written."""
    disrupted: bool = False
    """It is told to be in the way of something: of a drain, a preemption or, by Kueue, of another workload."""
    stranded: bool = False
    """Its node no longer answers for it: the pod is said not to be ready, though its containers were."""
    image: str = ""
    """What the node says it runs: a reference with a digest where the image came from a registry."""
    placed: datetime | None = None
    """When it got its node."""
    mounted: bool = False
    """Its volumes are mounted, and its sandbox runs."""
    wait: Wait | None = None

    @property
    def mounting(self) -> bool:
        """Whether it has a node and waits for its volumes, of which no status of it tells."""
        waits = self.phase == "Pending" and not self.deleting and not self.gone
        return waits and self.node is not None and not self.mounted and self.wait is None

    @property
    def succeeded(self) -> bool:
        """Whether it ended well."""
        return self.phase == "Succeeded"

    @property
    def failed(self) -> bool:
        """Whether it ended otherwise."""
        return self.phase == "Failed"

    @property
    def terminal(self) -> bool:
        """Whether nothing of it runs any more."""
        return self.gone or self.succeeded or self.failed

    @property
    def running(self) -> bool:
        """Whether its containers run."""
        return self.phase == "Running" and not self.gone

    @property
    def removed(self) -> bool:
        """Whether somebody or something took it away."""
        return self.deleting or self.gone or self.disrupted or self.reason in _REMOVALS

    @property
    def own_reason(self) -> str | None:
        """The reason in its own last words; None without."""
        return self.message.reason if self.message is not None else None

    @property
    def rejected(self) -> bool:
        """Whether its node refused to run it."""
        return self.failed and bool(_REJECTIONS.fullmatch(self.reason))


def seen_pod(body: Raw, *, gone: bool = False) -> SeenPod | None:
    """Read a pod; None when its labels are not those of a job's pods."""
    metadata, status = body.get("metadata") or {}, body.get("status") or {}
    labels = metadata.get("labels") or {}
    place = place_of(labels)
    if place is None and labels.get(ROLE_LABEL) != PREPARE_ROLE:
        return None
    end = _deciding_end(status)
    told = str(end.get("message") or "")
    return SeenPod(
        name=metadata["name"],
        uid=str(metadata.get("uid") or ""),
        attempt=place.attempt if place else None,
        rank=place.rank if place else 0,
        phase=status.get("phase") or "Pending",
        created=moment(metadata.get("creationTimestamp")),
        deleting=bool(metadata.get("deletionTimestamp")),
        leaves=moment(metadata.get("deletionTimestamp")),
        gone=gone,
        node=(body.get("spec") or {}).get("nodeName"),
        ip=status.get("podIP"),
        started=_started(status),
        finished=moment(end.get("finishedAt")),
        exit_code=end.get("exitCode"),
        reason=str(status.get("reason") or end.get("reason") or ""),
        note=str(status.get("message") or ""),
        message=TerminationMessage.parse(told) if told else None,
        told=told,
        disrupted=any(_says(status, kind, "True") for kind in _TARGETS),
        # A kubelet never says this; the node controller does of every pod on a node that it lost, and of Ready alone.
        stranded=_says(status, "Ready", "False") and _says(status, "ContainersReady", "True"),
        image=_image(status),
        placed=_placed(status) or moment(metadata.get("creationTimestamp")),
        mounted=_says(status, "PodReadyToStartContainers", "True"),
        wait=_wait(status),
    )


def moment(text: object) -> datetime | None:
    """Read a time as Kubernetes writes it."""
    return datetime.fromisoformat(text) if isinstance(text, str) and text else None


def _conditions(status: Raw) -> list[Raw]:
    return status.get("conditions") or []


def _says(status: Raw, kind: str, value: str) -> bool:
    return any(one.get("type") == kind and one.get("status") == value for one in _conditions(status))


def _placed(status: Raw) -> datetime | None:
    scheduled = (
        one for one in _conditions(status) if one.get("type") == "PodScheduled" and one.get("status") == "True"
    )
    return moment(next(scheduled, {}).get("lastTransitionTime"))


def _containers(status: Raw) -> Iterator[Raw]:
    yield from status.get("initContainerStatuses") or []
    yield from status.get("containerStatuses") or []


def _image(status: Raw) -> str:
    own = (one for one in _containers(status) if one.get("name") in RESERVED_CONTAINERS)
    return next((str(one["imageID"]) for one in own if one.get("imageID")), "")


def _deciding_end(status: Raw) -> Raw:
    """The end of the first of our containers that failed, else of the last; sidecars are killed at the end anyway."""
    own = (one for one in _containers(status) if one.get("name") in RESERVED_CONTAINERS)
    ends: list[Raw] = [end for one in own if (end := (one.get("state") or {}).get("terminated"))]
    failed = next((end for end in ends if end.get("exitCode")), None)
    return failed or (ends[-1] if ends else {})


def _started(status: Raw) -> datetime | None:
    own = [one for one in _containers(status) if one.get("name") in RESERVED_CONTAINERS]
    state = (own[-1].get("state") or {}) if own else {}
    return moment((state.get("running") or state.get("terminated") or {}).get("startedAt"))


def _wait(status: Raw) -> Wait | None:
    for condition in _conditions(status):
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            reason = "Queued" if condition.get("reason") == "SchedulingGated" else "Unschedulable"
            return Wait(reason, str(condition.get("message") or condition.get("reason") or ""))
    for container in _containers(status):
        waiting = (container.get("state") or {}).get("waiting") or {}
        message = str(waiting.get("message") or waiting.get("reason") or "")
        if waiting.get("reason") in _IMAGE_WAITS:
            return Wait("ImageUnavailable", message)
        if waiting.get("reason") in _OBJECT_WAITS:
            return Wait("ObjectMissing", message)
    return None
