"""All that is known of the cluster: a store for each kind, and what must not be forgotten about each job."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from finetune_api.names import ATTEMPT_LABEL
from finetune_api.reasons import ConditionType
from finetune_api.status import JobStatus, is_terminal, is_true
from finetune_operator.cluster.resources import (
    CLAIMS,
    CONFIG_MAPS,
    FINETUNE_JOBS,
    NETWORK_POLICIES,
    NODES,
    OPTIONAL,
    PODS,
    SERVICES,
    Resource,
)
from finetune_operator.observed import Refusal
from finetune_operator.runtime.slim import slim_child, slim_job, slim_node, slim_pod
from finetune_operator.runtime.store import Change, Covers, JobKey, Slim, Store, job_of

Body = dict[str, Any]
ChildKey = tuple[str, str]
"""Kind and name."""

SUPPORT = (CONFIG_MAPS, SERVICES, NETWORK_POLICIES, CLAIMS, *OPTIONAL)
"""Children that are not watched: known from our own writes, and verified by each resync."""


@dataclass
class JobMemory:
    """What the API server does not keep for us about one job."""

    uid: str
    incomplete: int = 0
    """Rounds in a row that could not create what they should."""
    gone: dict[str, Body] = field(default_factory=dict)
    """By uid, the last that was seen of pods that are gone, until their attempt's outcome is in the status."""
    refusals: dict[ChildKey, Refusal] = field(default_factory=dict)
    foreign: dict[ChildKey, Body] = field(default_factory=dict)
    """Objects of others in the place of our children."""

    def refused(self) -> tuple[Refusal, ...]:
        """Return the refusals, newest first."""
        return tuple(sorted(self.refusals.values(), key=lambda one: one.at, reverse=True))

    def recorded(self, status: JobStatus) -> None:
        """Forget the pods whose end is in `status`; all of them when it is over, or lost and begun anew."""
        ended: set[int | None] = {attempt.number for attempt in status.attempts if attempt.outcome is not None}
        if is_true(status.conditions, ConditionType.DATASET_PREPARED):
            ended.add(None)  # the attempt of the pod that prepares
        nothing_to_tell = status.frozen is None or is_terminal(status.conditions)
        self.gone = (
            {} if nothing_to_tell else {uid: pod for uid, pod in self.gone.items() if attempt_of(pod) not in ended}
        )

    def passed(self, since: datetime) -> None:
        """Forget refusals from before `since`."""
        self.refusals = {key: one for key, one in self.refusals.items() if one.at >= since}


class World:
    """The stores, and what news in them mean for which jobs."""

    def __init__(self, *, with_nodes: bool) -> None:
        self.jobs, self.pods = Store(slim_job), Store(slim_pod)
        self.nodes = Store(slim_node) if with_nodes else None
        self._support = {resource: Store(slim_child) for resource in SUPPORT}
        self._memories: dict[JobKey, JobMemory] = {}

    def store(self, resource: Resource) -> Store | None:
        """Return the store of a kind; None for one that is not kept."""
        return {FINETUNE_JOBS: self.jobs, PODS: self.pods, NODES: self.nodes, **self._support}.get(resource)

    def slim(self, resource: Resource) -> Slim:
        """Return what cuts objects of a kind down to what is kept of them."""
        store = self.store(resource)
        return store.slim if store is not None else dict

    def children(self, key: JobKey) -> list[Body]:
        """Return what bears the job's name besides pods."""
        return [body for store in self._support.values() for body in store.of_job(key)]

    def memory(self, key: JobKey, uid: str) -> JobMemory:
        """Return the memory of a job; a job made anew under an old name starts without any."""
        known = self._memories.get(key)
        if known is None or known.uid != uid:
            known = self._memories[key] = JobMemory(uid)
        return known

    def forget(self, key: JobKey) -> None:
        """Drop the memory of a job that is gone."""
        self._memories.pop(key, None)

    # News, each answered by the jobs that should be looked at

    def put(self, resource: Resource, body: Mapping[str, Any]) -> set[JobKey]:
        """Note an object as it is now."""
        store = self.store(resource)
        return self._affected(resource, store.put(body)) if store is not None else set()

    def remove(self, resource: Resource, body: Mapping[str, Any]) -> set[JobKey]:
        """Note that an object is gone."""
        store = self.store(resource)
        return self._affected(resource, store.remove(body)) if store is not None else set()

    def sync(
        self, resource: Resource, bodies: Iterable[Mapping[str, Any]], version: str, covers: Covers = lambda body: True
    ) -> set[JobKey]:
        """Note a whole list."""
        store = self.store(resource)
        return self._affected(resource, store.sync(bodies, version, covers)) if store is not None else set()

    def _affected(self, resource: Resource, changes: list[Change]) -> set[JobKey]:
        if resource is PODS:
            self._keep_gone(changes)
        touched: set[JobKey] = set()
        for change in changes:
            if change.matters:
                touched |= self._touched(resource, change.body)
        return touched

    def _touched(self, resource: Resource, body: Body) -> set[JobKey]:
        if resource is FINETUNE_JOBS:
            return {JobKey(body["metadata"].get("namespace") or "", body["metadata"]["name"])}
        if resource is NODES:
            name = body["metadata"]["name"]
            return {key for pod in self.pods if (key := job_of(pod)) and pod["spec"]["nodeName"] == name}
        key = job_of(body)
        return {key} if key else set()

    def _keep_gone(self, changes: list[Change]) -> None:
        for change in changes:
            key = job_of(change.body)
            job = self.jobs.get(*key) if key else None
            if key is None or job is None:
                continue
            gone = self.memory(key, job["metadata"]["uid"]).gone
            metadata = change.body["metadata"]
            if change.after is None:
                gone[str(metadata.get("uid"))] = change.body
            elif change.before is None and gone:  # what bears its name now stands for it
                same = [uid for uid, pod in gone.items() if pod["metadata"]["name"] == metadata["name"]]
                for uid in same:
                    del gone[uid]


def attempt_of(pod: Mapping[str, Any]) -> int | None:
    """Return the attempt on a pod's label."""
    number = str(pod["metadata"]["labels"].get(ATTEMPT_LABEL, ""))
    return int(number) if number.isascii() and number.isdigit() else None
