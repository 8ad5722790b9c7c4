"""A namespace of a control plane with simulated nodes, and a director who makes jobs in it live through their stories.

The director looks at what is recorded, so that an operator that dies changes nothing about what happens to its jobs.
"""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from cluster.control_plane import ControlPlane
from cluster.rest import Body
from cluster.simulated_nodes import EXIT_CODE, LAST_WORDS, RUN_FOR, SimulatedNode
from cluster.waiting import wait_until
from finetune_api.names import ATTEMPT_LABEL, JOB_NAME_LABEL, JOB_UID_LABEL
from finetune_api.outcomes import Outcome, TerminationMessage
from support.operator_jobs import inline_job
from support.results_claim import provide_results

_MERGE: Final = "application/merge-patch+json"
_LOOK: Final = 0.1
_BEAT: Final = 5.0
TERMINAL: Final = ("Complete", "Failed")


class Team:
    """A namespace with a volume for results and a node."""

    def __init__(self, plane: ControlPlane, namespace: str) -> None:
        self.plane, self.namespace, self.server = plane, namespace, plane.rest()
        self.jobs = f"/apis/finetune.dev/v1alpha1/namespaces/{namespace}/finetunejobs"
        self.core = f"/api/v1/namespaces/{namespace}"
        provide_results(self.server, self.namespace)
        self.node = f"{namespace}-node"
        node = SimulatedNode(self.node).body()
        node["status"]["conditions"] = _ready()
        self.server.send("POST", "/api/v1/nodes", node).accepted()

    def beat(self) -> None:
        """The node shows that it lives; without that it would be lost after 50 s."""
        self.server.send("PATCH", f"/api/v1/nodes/{self.node}/status", {"status": {"conditions": _ready()}}, _MERGE)

    def remove_node(self) -> None:
        """The node goes, before it is missed."""
        self.server.send("DELETE", f"/api/v1/nodes/{self.node}")

    def apply(self, name: str, **spec: Any) -> None:
        """Somebody creates a job, whose pods stay on the team's own node: those of other teams come and go."""
        manifest = inline_job(**spec, scheduling={"nodeSelector": {"kubernetes.io/hostname": self.node}})
        self.server.send("POST", self.jobs, {**manifest, "metadata": {"name": name}}).accepted()

    def status(self, name: str) -> Body:
        """What is said of a job."""
        return dict(self.server.get(f"{self.jobs}/{name}").get("status") or {})

    def statuses(self) -> dict[str, Body]:
        """What is said of all jobs."""
        found = self.server.get(self.jobs)["items"]
        return {job["metadata"]["name"]: dict(job.get("status") or {}) for job in found}

    def pods(self) -> list[Body]:
        """The pods of jobs."""
        return list(self.server.get(f"{self.core}/pods?labelSelector={JOB_UID_LABEL}")["items"])

    def events(self) -> Counter[tuple[str, str, str]]:
        """How often what was told about which job."""
        found = self.server.get(f"/apis/events.k8s.io/v1/namespaces/{self.namespace}/events?limit=5000")["items"]
        told: Counter[tuple[str, str, str]] = Counter()
        for one in found:
            if one["regarding"]["kind"] == "FinetuneJob":
                key = one["regarding"]["name"], one["reason"], one["note"]
                told[key] += (one.get("series") or {}).get("count", 1)
        return told

    def annotate(self, pod: str, **annotations: str) -> None:
        """Tell the simulated kubelet what becomes of a pod."""
        self.server.send("PATCH", f"{self.core}/pods/{pod}", {"metadata": {"annotations": annotations}}, _MERGE)

    def delete_pod(self, pod: str) -> None:
        """Somebody deletes a pod."""
        self.server.send("DELETE", f"{self.core}/pods/{pod}")

    def suspend(self, job: str, value: bool) -> None:
        """Somebody suspends a job, or has it go on."""
        self.server.send("PATCH", f"{self.jobs}/{job}", {"spec": {"runPolicy": {"suspend": value}}}, _MERGE).accepted()


Blow = Callable[[Team, str, list[Body]], None]
"""What happens to a job when all pods of an attempt run."""


def succeeds(team: Team, job: str, pods: list[Body]) -> None:
    """Every rank ends well."""
    for pod in pods:
        team.annotate(pod["metadata"]["name"], **_ends(TerminationMessage(outcome=Outcome.SUCCEEDED, step=4)))


def crashes(team: Team, job: str, pods: list[Body]) -> None:
    """The last rank leaves without a word."""
    team.annotate(pods[-1]["metadata"]["name"], **{RUN_FOR: "0s", EXIT_CODE: "1"})


def diverges(team: Team, job: str, pods: list[Body]) -> None:
    """The first rank says why it cannot go on."""
    team.annotate(pods[0]["metadata"]["name"], **_ends(TerminationMessage(outcome=Outcome.DIVERGED, rank=0, step=3)))


def loses_a_pod(team: Team, job: str, pods: list[Body]) -> None:
    """Somebody deletes a pod."""
    team.delete_pod(pods[-1]["metadata"]["name"])


def is_suspended(team: Team, job: str, pods: list[Body]) -> None:
    """Its owner suspends it; the director has it go on once it rests."""
    team.suspend(job, True)


@dataclass(frozen=True)
class Story:
    """What happens to the attempts of a job, in their order, and what the job asks for."""

    blows: tuple[Blow, ...]
    spec: Mapping[str, Any] = field(default_factory=dict)


STORIES: Final[Mapping[str, Story]] = {
    "good": Story((succeeds,)),
    "crash": Story((crashes, succeeds)),
    "twice": Story((crashes, crashes, succeeds)),
    "user": Story((diverges,)),
    "drain": Story((loses_a_pod, succeeds)),
    "spent": Story((crashes, crashes), {"runPolicy": {"maxRestarts": 1}}),
    "pause": Story((is_suspended, succeeds)),
    "mixed": Story((loses_a_pod, crashes, is_suspended, succeeds)),
}
EXPECTED: Final = {
    "good": ("Complete", 0, ["Succeeded"]),
    "crash": ("Complete", 1, ["Failure", "Succeeded"]),
    "twice": ("Complete", 2, ["Failure", "Failure", "Succeeded"]),
    "user": ("Failed", 0, ["UserFailure"]),
    "drain": ("Complete", 0, ["Disruption", "Succeeded"]),
    "spent": ("Failed", 1, ["Failure", "Failure"]),
    "pause": ("Complete", 0, ["Suspended", "Succeeded"]),
    "mixed": ("Complete", 1, ["Disruption", "Failure", "Suspended", "Succeeded"]),
}
"""State, restarts counted, and how the attempts ended, when nobody disturbs the operator."""
TAKEN: Final = frozenset({"drain-0-1", "mixed-0-1"})
"""Pods that are taken away by others than the operator."""


class Director:
    """Lets the stories of jobs happen."""

    def __init__(self, team: Team, stories: Mapping[str, Story]) -> None:
        self.team, self.stories = team, stories
        self._struck: set[tuple[str, int]] = set()
        self.problem: BaseException | None = None

    @contextmanager
    def directing(self) -> Iterator[None]:
        """Create the jobs, and direct from a thread of its own while the block runs."""
        for name, story in self.stories.items():
            self.team.apply(name, **story.spec)
        stop = threading.Event()
        thread = threading.Thread(target=self._direct, args=(stop,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(60)
            self.team.remove_node()

    def over(self) -> bool:
        """Whether all stories have come to their end; raises what went wrong with the director."""
        if self.problem is not None:
            raise self.problem
        return all(status.get("state") in TERMINAL for status in self.team.statuses().values())

    def wait_for_the_end(self, seconds: float = 300.0) -> float:
        """Wait until all stories are over, and return how long that took."""
        return wait_until(self.over, lambda: {name: one.get("state") for name, one in self.team.statuses().items()},
                          seconds)  # fmt: skip

    def _direct(self, stop: threading.Event) -> None:
        beaten = 0.0
        while not stop.wait(_LOOK):
            if not self.team.server.answers(self.team.jobs):
                continue  # the API server is away
            try:
                if time.monotonic() - beaten > _BEAT:
                    beaten = time.monotonic()
                    self.team.beat()
                self._strike()
                self._resume()
            except OSError:
                continue
            except BaseException as problem:
                self.problem = problem
                return

    def _strike(self) -> None:
        attempts: dict[tuple[str, int], list[Body]] = {}
        for pod in self.team.pods():
            labels = pod["metadata"]["labels"]
            attempts.setdefault((labels[JOB_NAME_LABEL], int(labels[ATTEMPT_LABEL])), []).append(pod)
        for (job, number), pods in attempts.items():
            runs = all(pod["status"].get("phase") == "Running" for pod in pods) and len(pods) == 2
            if runs and (job, number) not in self._struck and self._is_known(job, number):
                self._struck.add((job, number))
                assert number < len(self.stories[job].blows), f"{job} has an attempt too many: {self.team.status(job)}"
                self.stories[job].blows[number](self.team, job, sorted(pods, key=lambda pod: pod["metadata"]["name"]))

    def _is_known(self, job: str, number: int) -> bool:
        """Whether the operator has noted that the attempt runs: which end is a loss depends on that."""
        known = [one for one in self.team.status(job).get("attempts", []) if one["number"] == number]
        return bool(known and known[0].get("runningTime"))

    def _resume(self) -> None:
        for name, status in self.team.statuses().items():
            if status.get("state") == "Suspended":
                self.team.suspend(name, False)


def ends(team: Team) -> dict[str, tuple[str, int, list[str]]]:
    """Return of each job what `EXPECTED` says of it."""
    return {
        name: (status["state"], status.get("restarts", 0), [one.get("outcome") for one in status["attempts"]])
        for name, status in team.statuses().items()
    }


def conclusions(team: Team) -> dict[str, Any]:
    """Return of each job all that is settled at its end, but for times and the words of disruptions."""
    known = json.dumps(team.statuses()).replace(team.node, "the node")
    return {name: _conclusion(status) for name, status in json.loads(known).items()}


def _conclusion(status: Body) -> Body:
    conditions = sorted((one["type"], one["status"], one["reason"]) for one in status["conditions"])
    attempts = [
        (one["number"], one["nodes"], one["outcome"], *([] if one["outcome"] == "Disruption" else [one.get("reason")]))
        for one in status["attempts"]
    ]
    settled = {"failure": status.get("failure"), "restarts": status.get("restarts", 0)}
    return {"conditions": conditions, "attempts": attempts, **settled}


def _ready() -> list[Body]:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return [{"type": "Ready", "status": "True", "reason": "Simulated", "lastHeartbeatTime": now}]


def _ends(message: TerminationMessage) -> dict[str, str]:
    return {RUN_FOR: "0s", EXIT_CODE: str(message.exit_code), LAST_WORDS: message.to_json()}
