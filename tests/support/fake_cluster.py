"""A cluster in a few dictionaries: it applies plans, and lets things happen to pods and nodes."""

import copy
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from finetune_api.names import ATTEMPT_LABEL, ROLE_LABEL, TRAINER_ROLE
from finetune_api.outcomes import Outcome, TerminationMessage
from finetune_api.status import JobStatus, ProgressStatus
from finetune_operator.decision import Deletion, Plan
from finetune_operator.observed import Missing, Observed, Refusal, SeenJob, Surroundings, observe
from finetune_operator.plan import plan
from finetune_operator.settings import Settings

Body = dict[str, Any]
Planner = Callable[[SeenJob, Observed, datetime, Settings], Plan]

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
ENDED = ("Succeeded", "Failed")


class FakeCluster:
    """Holds one job and what belongs to it; time stands still unless it is told to pass."""

    def __init__(self, job: Mapping[str, Any], planner: Planner = plan, settings: Settings | None = None) -> None:
        self.job: Body = copy.deepcopy(dict(job))
        self.job["metadata"] |= {"uid": "job-uid", "namespace": "team", "generation": 1}
        self.planner, self.settings = planner, settings or Settings()
        self.now = BEGIN
        self.objects: dict[tuple[str, str], Body] = {}
        self.gone: list[Body] = []
        self.nodes: dict[str, str] = {f"node-{rank}": "Ready" for rank in range(8)}
        self.code: Body | None = {"metadata": {"name": "code"}, "data": {"preprocessing.py": "x = 1"}}
        self.watches_nodes = True
        self.refusals: tuple[Refusal, ...] = ()
        self.full = False
        """Whether a quota refuses every new pod."""
        self.made: Counter[str] = Counter()
        """How often something of each name was created."""
        self.missing: tuple[Missing, ...] = ()
        self.progress: ProgressStatus | None = None
        self.first_step: int | None = None
        self.progress_error: str | None = None
        self.events: list[str] = []
        self._uids = 0

    # What the operator sees and does

    @property
    def status(self) -> JobStatus:
        """The status as the API server holds it."""
        return JobStatus.of(self.job)

    def seen_job(self) -> SeenJob:
        """The job as the operator reads it."""
        return SeenJob.of(self.job)

    def observed(self) -> Observed:
        """The job's surroundings as the operator reads them."""
        # Groups of gang schedulers belong to CRDs that may not exist, so nobody watches them.
        children = [body for (kind, _), body in self.objects.items() if kind not in ("Pod", "PodGroup")]
        nodes = list(self._node_bodies()) if self.watches_nodes else None
        around = Surroundings(
            pods=self.pods(), gone_pods=self.gone, children=children, nodes=nodes, code=self.code,
            refusals=self.refusals, missing=self.missing, progress=self.progress, first_step=self.first_step,
            progress_error=self.progress_error,
        )  # fmt: skip
        return observe(self.seen_job(), around)

    def plan(self) -> Plan:
        """What the operator would do now."""
        return self.planner(self.seen_job(), self.observed(), self.now, self.settings)

    def apply(self, decided: Plan) -> None:
        """Do it, in the order that the operator keeps: status, creates, deletes, events."""
        if decided.status is not None:
            self.job["status"] = json.loads(json.dumps(decided.status.to_json()))
        for body in decided.create:
            self._create(body)
        for deletion in decided.delete:
            self._delete(deletion)
        self.events += [event.reason for event in decided.events]

    def reconcile(self) -> Plan:
        """Plan once and apply it."""
        decided = self.plan()
        self.apply(decided)
        return decided

    def settle(self, most: int = 10) -> int:
        """Reconcile until nothing is left to do, and return how many plans that took; raises when it never ends."""
        for count in range(most):
            if not self.reconcile().acts:
                return count
        raise AssertionError(f"still acting after {most} plans")

    # What happens to pods

    def pods(self, *phases: str, role: str | None = None) -> list[Body]:
        """Pods in the order of their names, only those in one of `phases` if any are given."""
        found = [self.objects[key] for key in sorted(self.objects) if key[0] == "Pod"]
        found = [pod for pod in found if not phases or pod["status"]["phase"] in phases]
        return [pod for pod in found if role in (None, pod["metadata"]["labels"][ROLE_LABEL])]

    def names(self) -> list[str]:
        """Names of the pods that exist."""
        return [pod["metadata"]["name"] for pod in self.pods()]

    def pod(self, name: str) -> Body:
        """One pod."""
        return self.objects["Pod", name]

    def run(self, pod: Body) -> None:
        """Its containers start, on the node of its rank, or of a later one that it may use."""
        rank = int(pod["metadata"]["labels"].get("finetune.dev/rank", "0"))
        pod["spec"]["nodeName"] = next(name for n in range(rank, 99) if (name := f"node-{n}") not in avoided(pod))
        own = pod["spec"]["containers"][0]
        state = {"running": {"startedAt": written(self.now)}}
        statuses = [{"name": own["name"], "imageID": self._digest(own["image"]), "state": state}]
        ready = [{"type": kind, "status": "True"} for kind in ("Ready", "ContainersReady")]
        pod["status"] = {"phase": "Running", "podIP": "10.0.0.1", "containerStatuses": statuses, "conditions": ready}

    def run_all(self) -> None:
        """All pods that wait start."""
        for pod in self.pods("Pending"):
            self.run(pod)

    def end(
        self,
        pod: Body,
        outcome: Outcome,
        progress: Mapping[str, Any] | None = None,
        facts: Mapping[str, Any] | None = None,
        **told: Any,
    ) -> None:
        """It leaves with last words, and `facts` beside them."""
        message = TerminationMessage(outcome=outcome, message=f"said {outcome.value}", **told)
        beside = {**(facts or {}), **({"progress": progress} if progress else {})}
        self.exit(pod, message.exit_code, message.to_json(beside))

    def exit(self, pod: Body, code: int, told: str = "", reason: str = "") -> None:
        """It leaves with an exit code."""
        name = pod["spec"]["containers"][0]["name"]
        end = {"exitCode": code, "finishedAt": written(self.now), "message": told, "reason": reason or "Error"}
        for ran in pod["status"].get("containerStatuses") or []:
            end |= (ran.get("state") or {}).get("running") or {}
        phase = "Failed" if code else "Succeeded"
        pod["status"] = {"phase": phase, "containerStatuses": [{"name": name, "state": {"terminated": end}}]}

    def evict(self, pod: Body, condition: str = "DisruptionTarget") -> None:
        """The cluster takes it away; its process still has its grace."""
        pod["metadata"].setdefault("deletionTimestamp", written(self.now))
        pod["status"]["conditions"] = [{"type": condition, "status": "True"}]

    def hold_up(self, pod: Body, message: str = "0/3 nodes are available") -> None:
        """The scheduler finds no node for it."""
        said = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
        pod["status"]["conditions"] = [said]

    def remove(self, pod: Body, *, seen: bool = True) -> None:
        """It is gone; the operator may have seen its last state."""
        del self.objects["Pod", pod["metadata"]["name"]]
        if seen:
            self.gone.append(pod)

    def kubelet(self, *, seen: bool = True, code: int = 143) -> None:
        """Every pod that is to be deleted, on a node that works, ends and goes."""
        for pod in [pod for pod in self.pods() if "deletionTimestamp" in pod["metadata"]]:
            if self.nodes.get(pod["spec"].get("nodeName", "node-0")) == "Ready":
                if pod["status"]["phase"] not in ENDED:
                    self.exit(pod, code)
                self.remove(pod, seen=seen)

    def may_run(self, pod: Body) -> bool:
        """Whether some process of it may be alive where it can be known."""
        healthy = self.nodes.get(pod["spec"].get("nodeName", "node-0")) == "Ready"
        return pod["status"]["phase"] not in ENDED and healthy

    def attempts_alive(self) -> set[str]:
        """Attempts with a pod that may run."""
        training = self.pods(role=TRAINER_ROLE)
        return {pod["metadata"]["labels"][ATTEMPT_LABEL] for pod in training if self.may_run(pod)}

    # What happens around them

    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.now += timedelta(seconds=seconds)

    def edit(self, **run_policy: Any) -> None:
        """Somebody edits `spec.runPolicy`."""
        self.job["spec"].setdefault("runPolicy", {}).update(run_policy)
        self.job["metadata"]["generation"] += 1

    def refuse(self, code: int, message: str, kind: str = "Pod", name: str = "arc-easy-0-0") -> None:
        """The API server refuses a child."""
        self.refusals = (Refusal(kind, name, code, message, self.now),)

    def strand(self) -> None:
        """The node controller says of every pod on a node without a kubelet that it is not ready."""
        for pod in self.pods("Running"):
            ready = "True" if self.nodes.get(pod["spec"]["nodeName"]) == "Ready" else "False"
            for condition in pod["status"].get("conditions", ()):
                if condition["type"] == "Ready":
                    condition["status"] = ready

    def _digest(self, image: str) -> str:
        """What a node tells of an image; the tag moves with every pod."""
        host = "" if "/" in image else "docker.io/library/"
        return image if "@" in image else f"{host}{image.partition(':')[0]}@sha256:{self._uids:064}"

    def _create(self, body: Body) -> None:
        key = body["kind"], body["metadata"]["name"]
        if key in self.objects:
            if body["kind"] == "PodGroup":  # 409, which says that it is there
                return
            raise AssertionError(f"{key} exists already")
        if self.full and body["kind"] == "Pod":
            return self.refuse(403, "exceeded quota: compute", name=key[1])
        self.made[key[1]] += 1
        self._uids += 1
        made = copy.deepcopy(body)
        made["metadata"] |= {"uid": f"uid-{self._uids}", "creationTimestamp": written(self.now)}
        if body["kind"] == "Pod":
            made["status"] = {"phase": "Pending"}
            self.gone = [pod for pod in self.gone if pod["metadata"]["name"] != key[1]]
        self.objects[key] = made

    def _delete(self, deletion: Deletion) -> None:
        if deletion.kind == "FinetuneJob":
            self.job["metadata"]["deletionTimestamp"] = written(self.now)
            return
        body = self.objects[deletion.kind, deletion.name]
        if body["metadata"]["uid"] != deletion.uid:
            raise AssertionError(f"{deletion} is not the object that was seen")
        if deletion.kind != "Pod":
            del self.objects[deletion.kind, deletion.name]
        elif deletion.grace == 0:
            self.remove(body)
        else:
            body["metadata"].setdefault("deletionTimestamp", written(self.now))

    def _node_bodies(self) -> Iterator[Body]:
        for name, state in self.nodes.items():
            ready = "True" if state == "Ready" else "Unknown"
            yield {"metadata": {"name": name}, "status": {"conditions": [{"type": "Ready", "status": ready}]}}


def avoided(pod: Body) -> set[str]:
    """The nodes that every term of a pod's affinity rules out."""
    to_nodes = pod["spec"].get("affinity", {}).get("nodeAffinity", {})
    terms = to_nodes.get("requiredDuringSchedulingIgnoredDuringExecution", {}).get("nodeSelectorTerms", [])
    ruled_out = [
        {name for field in term.get("matchFields", []) if field["operator"] == "NotIn" for name in field["values"]}
        for term in terms
        if term
    ]
    return set.intersection(*ruled_out) if ruled_out else set()


def written(moment: datetime) -> str:
    """A time as Kubernetes writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
