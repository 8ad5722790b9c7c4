"""What was seen of one job and its surroundings, as values; read from the API server's JSON by pure functions."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Self

from finetune_api.names import JOB_NAME_LABEL, JOB_UID_LABEL
from finetune_api.status import DatasetStatus, JobStatus, ProgressStatus
from finetune_operator.seen_pod import Raw, SeenPod, seen_pod


@dataclass(frozen=True)
class SeenJob:
    """A FinetuneJob as the API server holds it; its spec is not yet judged."""

    name: str
    namespace: str
    uid: str
    generation: int
    deleting: bool
    managed_by: str | None
    document: Raw
    """The job without its status, as `load_job` reads it."""
    status: JobStatus

    @classmethod
    def of(cls, body: Raw) -> Self:
        """Read a job; raises `pydantic.ValidationError` for a status that nobody here wrote."""
        metadata = body["metadata"]
        return cls(
            name=metadata["name"],
            namespace=metadata.get("namespace") or "default",
            uid=metadata["uid"],
            generation=metadata.get("generation") or 0,
            deleting=bool(metadata.get("deletionTimestamp")),
            managed_by=(body.get("spec") or {}).get("managedBy"),
            document={key: value for key, value in body.items() if key != "status"},
            status=JobStatus.of(body),
        )


@dataclass(frozen=True)
class SeenChild:
    """A child other than a pod."""

    kind: str
    name: str
    uid: str
    deleting: bool = False
    orphaned: bool = False
    """Its only owner is an earlier job of the same name, so it is Kubernetes' to collect."""


@dataclass(frozen=True)
class Refusal:
    """What the API server answered when a child was to be created."""

    kind: str
    name: str
    code: int
    """HTTP status."""
    message: str
    at: datetime

    @property
    def is_quota(self) -> bool:
        """Whether it passes by itself when others leave."""
        return self.code == 403 and "exceeded quota" in self.message


@dataclass(frozen=True)
class Reference:
    """An object of the job's namespace that its pods mount and somebody else has to create."""

    kind: str
    """ConfigMap or PersistentVolumeClaim."""
    name: str


@dataclass(frozen=True)
class Missing:
    """A reference that leads nowhere."""

    kind: str
    name: str
    message: str
    """What the API server answered when it was asked for the object."""


class NodeState(StrEnum):
    """What a node says of the pods on it."""

    READY = "Ready"
    NOT_READY = "NotReady"
    OUT_OF_SERVICE = "OutOfService"
    GONE = "Gone"


@dataclass(frozen=True)
class Observed:
    """All that decisions about one job depend on, besides the job, the time and the settings."""

    pods: tuple[SeenPod, ...] = ()
    """Training pods of this job's uid, by attempt and rank; with the last that was seen of those that are gone."""
    prepare_pod: SeenPod | None = None
    """With the last that was seen of it when it is gone."""
    children: tuple[SeenChild, ...] = ()
    """Service, ConfigMap, NetworkPolicy and claim of this job's uid."""
    foreign: tuple[SeenChild, ...] = ()
    """Objects of other owners that bear a name of one of this job's children."""
    nodes: Mapping[str, NodeState] | None = None
    """Of the nodes that pods are on; None where nodes may not be watched."""
    code_sha256: str | None = None
    """Hash of the ConfigMap in `spec.code`; None while there is none."""
    progress: ProgressStatus | None = None
    """What rank 0 told since the last status, if it is time to write it."""
    dataset: DatasetStatus | None = None
    """What rank 0 told of the data that it prepared itself."""
    first_step: int | None = None
    """The step after which rank 0 says that its attempt began."""
    progress_error: str | None = None
    """Why rank 0 has not told its progress for a while, in one sentence; None when it has."""
    refusals: tuple[Refusal, ...] = ()
    """The last answer to each create that was refused."""
    missing: tuple[Missing, ...] = ()
    """Of what `references.worth_a_look` asked for, what does not exist."""

    def of_attempt(self, number: int) -> tuple[SeenPod, ...]:
        """Return the pods of one attempt, by rank."""
        return tuple(pod for pod in self.pods if pod.attempt == number)

    def has(self, kind: str, name: str) -> bool:
        """Tell whether the job has this child."""
        return any((child.kind, child.name) == (kind, name) for child in self.children)

    def exists(self, kind: str, name: str) -> bool:
        """Tell whether the job has this child or this pod."""
        pods = (*self.pods, *((self.prepare_pod,) if self.prepare_pod else ()))
        return self.has(kind, name) or (kind == "Pod" and any(pod.name == name and not pod.gone for pod in pods))

    def node_state(self, pod: SeenPod) -> NodeState:
        """Return the state of the node that `pod` is on; Ready for what is not known.

        Where nodes may not be watched the pod itself tells what the node controller thinks of its node.
        """
        if self.nodes is None:
            return NodeState.NOT_READY if pod.stranded else NodeState.READY
        if pod.node is None:
            return NodeState.READY
        return self.nodes.get(pod.node, NodeState.GONE)

    def lost(self, pod: SeenPod) -> bool:
        """Tell whether `pod` may be running where nobody can see it."""
        return not pod.terminal and self.node_state(pod) is not NodeState.READY


@dataclass(frozen=True)
class Surroundings:
    """The bodies that an observation of one job is made of."""

    pods: Iterable[Raw] = ()
    gone_pods: Iterable[Raw] = ()
    """Last bodies of pods whose deletion was seen."""
    children: Iterable[Raw] = ()
    nodes: Iterable[Raw] | None = None
    code: Raw | None = None
    """The ConfigMap of `spec.code`."""
    progress: ProgressStatus | None = None
    dataset: DatasetStatus | None = None
    first_step: int | None = None
    progress_error: str | None = None
    refusals: tuple[Refusal, ...] = field(default=())
    missing: tuple[Missing, ...] = ()


def observe(job: SeenJob, around: Surroundings) -> Observed:
    """Sort what was seen around a job; what is not its own is told apart by the owner's uid."""
    gone = [pod for body in around.gone_pods if is_ours(body, job.uid) and (pod := seen_pod(body, gone=True))]
    live = [pod for body in around.pods if is_ours(body, job.uid) and (pod := seen_pod(body))]
    names = {pod.name for pod in live}
    pods = [*live, *(pod for pod in gone if pod.name not in names)]
    prepare = next((pod for pod in pods if pod.attempt is None), None)
    return Observed(
        pods=tuple(sorted((pod for pod in pods if pod.attempt is not None), key=_place)),
        prepare_pod=prepare,
        children=tuple(_child(body) for body in around.children if is_ours(body, job.uid)),
        foreign=tuple(_foreign(body, job) for body in (*around.children, *around.pods) if not is_ours(body, job.uid)),
        nodes=None if around.nodes is None else {body["metadata"]["name"]: node_state(body) for body in around.nodes},
        code_sha256=None if around.code is None else content_hash(around.code),
        progress=around.progress,
        dataset=around.dataset,
        first_step=around.first_step,
        progress_error=around.progress_error,
        refusals=around.refusals,
        missing=around.missing,
    )


def node_state(body: Raw) -> NodeState:
    """Return what a node says of the pods on it."""
    taints = (body.get("spec") or {}).get("taints") or []
    if any(taint.get("key") == "node.kubernetes.io/out-of-service" for taint in taints):
        return NodeState.OUT_OF_SERVICE
    conditions = (body.get("status") or {}).get("conditions") or []
    ready = next((one.get("status") for one in conditions if one.get("type") == "Ready"), None)
    return NodeState.READY if ready == "True" else NodeState.NOT_READY


def content_hash(config_map: Raw) -> str:
    """Return the hash of a ConfigMap's content, whatever its order."""
    content = {key: config_map.get(key) or {} for key in ("data", "binaryData")}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _child(body: Raw) -> SeenChild:
    metadata = body["metadata"]
    # The items of a list of pods do not say their kind.
    return SeenChild(
        body.get("kind", "Pod"), metadata["name"], str(metadata.get("uid") or ""), "deletionTimestamp" in metadata
    )


def _foreign(body: Raw, job: SeenJob) -> SeenChild:
    labels = body["metadata"].get("labels") or {}
    # A name belongs to one job at a time, so the one of another uid is no more.
    orphaned = labels.get(JOB_NAME_LABEL) == job.name and _owners(body) == {labels.get(JOB_UID_LABEL)}
    return replace(_child(body), orphaned=orphaned)


def is_ours(body: Raw, uid: str) -> bool:
    """Tell whether the job of this uid made an object; a claim that outlives its job has no owner, but a label."""
    owners = _owners(body)
    return uid in owners or (not owners and (body["metadata"].get("labels") or {}).get(JOB_UID_LABEL) == uid)


def _owners(body: Raw) -> set[str | None]:
    return {owner.get("uid") for owner in body["metadata"].get("ownerReferences") or []}


def _place(pod: SeenPod) -> tuple[int, int]:
    return pod.attempt or 0, pod.rank
