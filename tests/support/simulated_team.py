"""A director who makes the jobs of a team live through their stories, in a namespace with a simulated node.

The director looks at what is recorded, so that an operator that dies changes nothing about what happens to its jobs.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from cluster.rest import Body
from cluster.simulated_nodes import EXIT_CODE, LAST_WORDS, RUN_FOR
from cluster.waiting import wait_until
from finetune_api.names import ATTEMPT_LABEL, JOB_NAME_LABEL
from finetune_api.outcomes import Outcome, TerminationMessage
from support.team import Away, Team

_LOOK: Final = 0.1
_BEAT: Final = 5.0
TERMINAL: Final = ("Complete", "Failed")


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
        self._falling: dict[tuple[str, int], list[Body]] = {}
        """Pods to which it is not certain that all has happened that should."""
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
        try:
            return all(status.get("state") in TERMINAL for status in self.team.statuses().values())
        except Away:
            return False

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
            except Away:
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
                assert number < len(self.stories[job].blows), f"{job} has an attempt too many: {self.team.status(job)}"
                self._struck.add((job, number))
                self._falling[job, number] = sorted(pods, key=lambda pod: pod["metadata"]["name"])
        self._let_fall()

    def _let_fall(self) -> None:
        """A blow that the API server has not answered falls again, on the same pods, whatever has become of them."""
        for (job, number), pods in list(self._falling.items()):
            self.stories[job].blows[number](self.team, job, pods)
            del self._falling[job, number]

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


def _ends(message: TerminationMessage) -> dict[str, str]:
    return {RUN_FOR: "0s", EXIT_CODE: str(message.exit_code), LAST_WORDS: message.to_json()}
