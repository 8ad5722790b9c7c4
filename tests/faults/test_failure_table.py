"""The rows of the failure table that need no cluster: real launchers, ranks without torch, the operator's judgement.

Each case has two launchers, one for each of its pods; the struck rank is in one of them, and the other's rank says
what a rank says that has lost its peer.
"""

import signal
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from faults import machine
from faults.case import Case
from faults.cases import CASES, SEED
from faults.judge import of_attempt
from faults.record import Record, expect
from support.launching import Launched, launch

pytestmark = pytest.mark.distributed

_BY_NAME: Final = {case.name: case for case in CASES}
_FROM_INSIDE: Final = [
    *("exit-2", "exit-3", "exit-4", "exit-5", "exit-6", "exit-7", "exit-75", "exit-143"),
    *("frozen", "hang-in-save"),
]
_FROM_OUTSIDE: Final = {
    "rank-killed": ("rank", signal.SIGKILL),
    "rank-killed-while-saving": ("rank", signal.SIGKILL),
    "agent-killed": ("agent", signal.SIGKILL),
    "launcher-killed": ("launcher", signal.SIGKILL),
    "sigterm": ("launcher", signal.SIGTERM),
    "pod-deleted": ("launcher", signal.SIGTERM),
    "evicted": ("launcher", signal.SIGTERM),
    "sigterm-too-short": ("launcher", signal.SIGTERM),
}
"""Which process gets which signal; pods that the API server takes away see no more of it than this."""
_AS_FAKE: Final = {"signal:SIGSTOP": {"do": "hang:stopped"}, "block": {"do": "hang:save"}}
"""What the rank without torch calls that which it is to do."""
_STACKS: Final = {"hang-in-save": ("write_to_a_dead_volume",)}
"""Where it blocks, which is another function than that of a real rank."""
_HANGS: Final = {"step_timeout": 1.5, "phase_timeouts": "save=1.5"}
_LOST: Final = {"do": "outcome:Retryable", "after": 3.0}
_DRAINED: Final = {"do": "outcome:Preempted", "after": 3.0}
"""What the other pod's rank says, later than the struck one: Kubernetes tells whole seconds."""


@pytest.mark.parametrize("name", _FROM_INSIDE)
def test_what_a_rank_does_itself_is_named(name: str, tmp_path: Path) -> None:
    case = _BY_NAME[name]
    script = _AS_FAKE.get(case.inside, {"do": case.inside, "after": 0.3, "leave": "alone"})
    with _pods(case, tmp_path, script) as pods:
        record = _written(case, tmp_path)
        assert of_attempt(record, pods.judged()) == ()


@pytest.mark.parametrize("name", _FROM_OUTSIDE)
def test_what_is_done_to_a_pod_is_named(name: str, tmp_path: Path) -> None:
    case = _BY_NAME[name]
    script = {"do": "run", "stubborn": True} if name == "sigterm-too-short" else {"do": "run"}
    who, number = _FROM_OUTSIDE[name]
    with _pods(case, tmp_path, script) as pods:
        record = _written(case, tmp_path)
        pods.strike(who, number)
        assert of_attempt(record, pods.judged()) == ()


def _written(case: Case, folder: Path) -> Record:
    """Write what must be found before anything is struck, and return what was written."""
    file = folder / "expected.json"
    record = expect(case, SEED, machine.target(case, _rank(case)))
    replace(record, words=_STACKS.get(case.name, record.words)).write(file)
    return Record.read(file)


def _rank(case: Case) -> int:
    return case.drawn(SEED)[0]


class _Pods:
    """The launchers of one attempt."""

    def __init__(self, case: Case, launched: list[Launched]) -> None:
        self.case, self.launched = case, launched

    @property
    def struck(self) -> Launched:
        """The launcher of the pod that is struck."""
        return self.launched[_rank(self.case) // self.case.shape.processes]

    def strike(self, who: str, number: signal.Signals) -> None:
        """Send a signal to a process of the struck pod, once all of it run."""
        for rank in _ranks(self.case, self.launched.index(self.struck)):
            self.struck.rank(rank)
        self.struck.send(number, str(_rank(self.case)) if who == "rank" else who)

    def judged(self) -> Any:
        """Wait for all launchers and return the cause that the operator names."""
        deleted = self.case.truth.reason == "Removed"
        bodies = []
        for pod, end in enumerate(machine.ends_of([one.process for one in self.launched], 60)):
            one = self.launched[pod]
            words = one.dir.path / "termination.json"
            bodies.append(machine.ended_pod(self.case, pod, end, words, deleted=deleted and one is self.struck))
        return machine.found(self.case, bodies)

    def __enter__(self) -> "_Pods":
        return self

    def __exit__(self, *_: object) -> None:
        for one in self.launched:
            one.__exit__()


def _pods(case: Case, root: Path, script: dict[str, Any]) -> _Pods:
    """Start a launcher for each pod; the struck rank follows `script`, the others what follows from it."""
    asked = case.name in _FROM_OUTSIDE and _FROM_OUTSIDE[case.name][1] is signal.SIGTERM
    grace = 1 if case.name == "sigterm-too-short" else 20
    options: dict[str, Any] = _HANGS if "hang" in script["do"] else {}
    launched = []
    for pod in range(case.shape.nodes):
        struck_here = _rank(case) in _ranks(case, pod)
        bystander: dict[str, Any] = {"do": "step"} if options else {"do": "run"}
        others = bystander if struck_here else (_DRAINED if asked else _LOST)
        ranks = {rank: script if rank == _rank(case) else others for rank in _ranks(case, pod)}
        launched.append(launch(root, ranks, node_rank=pod, grace=grace, **options))
    return _Pods(case, launched)


def _ranks(case: Case, pod: int) -> range:
    return range(pod * case.shape.processes, (pod + 1) * case.shape.processes)
