"""The cluster as the store has it at one revision: jobs, their pods, and nodes."""

from collections import defaultdict
from dataclasses import dataclass, field

from finetune_api.names import ATTEMPT_LABEL, JOB_UID_LABEL, RANK_LABEL
from soak.happenings import Body, Happening

_OVER = ("Succeeded", "Failed")
_OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"


@dataclass
class _Thing:
    """An object, as long as it exists."""

    body: Body

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.body["metadata"]["name"])

    @property
    def uid(self) -> str:
        """Its uid."""
        return str(self.body["metadata"]["uid"])


@dataclass
class Pod(_Thing):
    """One pod, as long as it exists."""

    lost: bool = False
    """Its node was not ready at some time while it was on it."""

    @property
    def job_uid(self) -> str:
        """The uid of its job."""
        return str(self.body["metadata"]["labels"].get(JOB_UID_LABEL, ""))

    @property
    def attempt(self) -> int | None:
        """None for a pod that prepares."""
        label = self.body["metadata"]["labels"].get(ATTEMPT_LABEL)
        return None if label is None else int(label)

    @property
    def rank(self) -> int:
        """Of its node."""
        return int(self.body["metadata"]["labels"].get(RANK_LABEL, 0))

    @property
    def node(self) -> str | None:
        """Where it is."""
        found: str | None = self.body["spec"].get("nodeName")
        return found

    @property
    def phase(self) -> str:
        """Pending, Running, Succeeded or Failed."""
        return str(self.body.get("status", {}).get("phase", "Pending"))

    @property
    def over(self) -> bool:
        """Whether nothing of it runs."""
        return self.phase in _OVER

    @property
    def leaving(self) -> bool:
        """Whether it was asked to go."""
        return "deletionTimestamp" in self.body["metadata"]

    @property
    def disrupted(self) -> bool:
        """Whether Kubernetes says that it takes the pod away; for a taint by its name, so perhaps the wrong one."""
        conditions = self.body.get("status", {}).get("conditions") or []
        return any(one["type"] == "DisruptionTarget" and one["status"] == "True" for one in conditions)


@dataclass
class Job(_Thing):
    """One job, as long as it exists."""

    gone: bool = False

    @property
    def deleting(self) -> bool:
        """Whether it is gone, or about to be."""
        return self.gone or "deletionTimestamp" in self.body["metadata"]

    @property
    def status(self) -> Body:
        """What the operator reports."""
        return dict(self.body.get("status") or {})

    @property
    def attempts(self) -> list[Body]:
        """The last ten, oldest first."""
        return list(self.status.get("attempts") or [])

    @property
    def newest(self) -> Body | None:
        """The newest attempt."""
        return self.attempts[-1] if self.attempts else None

    def attempt(self, number: int) -> Body | None:
        """One attempt, as far as it is still told of."""
        return next((one for one in self.attempts if one["number"] == number), None)

    def condition(self, kind: str) -> Body:
        """A condition; an empty one when there is none."""
        found = (one for one in self.status.get("conditions") or [] if one["type"] == kind)
        return next(found, {})

    def holds(self, kind: str) -> bool:
        """Whether a condition is true."""
        return bool(self.condition(kind).get("status") == "True")

    @property
    def over(self) -> str | None:
        """The condition that ended it."""
        return next((kind for kind in ("Complete", "Failed") if self.holds(kind)), None)


@dataclass
class Scene:
    """What exists; `take` moves it on by one happening."""

    revision: int = 0
    jobs: dict[str, Job] = field(default_factory=dict)
    """By uid, also those that are gone."""
    pods: dict[str, Pod] = field(default_factory=dict)
    """By uid."""
    down: set[str] = field(default_factory=set)
    """Nodes that are not ready, out of service or gone."""
    lost: set[tuple[str, int | None]] = field(default_factory=set)
    """Attempts, by uid of the job and number, of which a pod was on such a node before it had ended."""
    died: set[tuple[str, int | None]] = field(default_factory=set)
    """Attempts of which a pod had ended before anybody asked it to leave."""
    swept: set[tuple[str, int | None]] = field(default_factory=set)
    """Attempts of which the cluster itself took a pod from such a node before a word was said of their end."""
    lost_names: set[str] = field(default_factory=set)
    """Of pods that were on such a node before they had ended."""
    _by_job: dict[str, dict[str, Pod]] = field(default_factory=lambda: defaultdict(dict))

    def take(self, one: Happening) -> None:
        """Move on."""
        self.revision = one.at
        moves = {"Pod": self._pod, "FinetuneJob": self._job, "Node": self._node}
        if one.kind in moves:
            moves[one.kind](one)

    def job_named(self, name: str) -> Job | None:
        """Return the newest job of a name that was ever there."""
        found = [job for job in self.jobs.values() if job.name == name]
        return found[-1] if found else None

    def pods_of(self, uid: str, attempt: int | None) -> list[Pod]:
        """Return the pods of an attempt that exist, by rank; of None those that prepare."""
        found = [pod for pod in self.of_job(uid) if pod.attempt == attempt]
        return sorted(found, key=lambda pod: pod.rank)

    def of_job(self, uid: str) -> list[Pod]:
        """All pods of a job that exist."""
        return list(self._by_job[uid].values())

    def attempt_of(self, pod: Pod) -> Body | None:
        """What the status tells of the attempt of a pod, as far as it still does."""
        job = self.jobs.get(pod.job_uid)
        return job.attempt(pod.attempt) if job is not None and pod.attempt is not None else None

    def is_told(self, pod: Pod) -> bool:
        """Whether the status tells why the attempt of a pod is over or being ended, or tells of it no more."""
        told = self.attempt_of(pod)
        return told is None or bool(told.get("outcome") or told.get("reason"))

    def _pod(self, one: Happening) -> None:
        uid = one.body["metadata"]["uid"]
        if one.gone:
            pod = self.pods.pop(uid, Pod(one.body))
            self._by_job[pod.job_uid].pop(uid, None)
            if pod.lost and not self.is_told(pod):
                self.swept.add((pod.job_uid, pod.attempt))
            return
        pod = self.pods.setdefault(uid, Pod(one.body))
        self._by_job[pod.job_uid][uid] = pod
        pod.body = one.body
        if pod.node in self.down:
            self._lose(pod)
        if pod.over and not pod.leaving:
            self.died.add((pod.job_uid, pod.attempt))

    def _job(self, one: Happening) -> None:
        job = self.jobs.setdefault(one.body["metadata"]["uid"], Job(one.body))
        job.body, job.gone = one.body, one.gone

    def _node(self, one: Happening) -> None:
        if one.gone or not _is_ready(one.body):
            self.down.add(one.name)
            for pod in self.pods.values():
                if pod.node == one.name:
                    self._lose(pod)
        else:
            self.down.discard(one.name)

    def _lose(self, pod: Pod) -> None:
        if not pod.over:
            pod.lost = True
            self.lost_names.add(pod.name)
            self.lost.add((pod.job_uid, pod.attempt))


def _is_ready(node: Body) -> bool:
    conditions = node.get("status", {}).get("conditions") or []
    ready = any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
    return ready and not any(taint["key"] == _OUT_OF_SERVICE for taint in node["spec"].get("taints") or [])
