"""Runs that hang, as processes under the launcher: who is named, when, and with which stack."""

import json
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from finetune_api.outcomes import Outcome
from finetune_trainer.heartbeat import HeartbeatFile
from finetune_trainer.launcher.hang import Hang, HangWatch
from finetune_trainer.launcher.watchdog import bounds_of
from finetune_trainer.run_dir import RunDir
from finetune_trainer.stack_dump import PARTIAL, STACK_SIGNAL
from support.launching import Launched, wait_until

pytestmark = pytest.mark.distributed

STEP: dict[str, Any] = {"do": "step"}
QUICK = {"step_timeout": 3, "phase_timeouts": "save=3", "launcher": "support.patient_launcher"}
"""Bounds that ranks which are well keep on a busy machine too."""


def hang_of(launched: Launched) -> dict[str, Any]:
    """What the launcher tells about a hang beside its message."""
    told: dict[str, Any] = json.loads((launched.dir.path / "termination.json").read_text(encoding="utf-8"))["hang"]
    return told


@pytest.mark.parametrize(
    ("guilty", "how", "where", "function"),
    [
        (0, "data", "in step 3", "wait_for_a_row"),
        (1, "save", "while it saved step 3", "write_to_a_dead_volume"),
        (1, "stopped", "in step 3", None),
    ],
)
def test_the_rank_that_holds_up_the_others_is_named(
    start: Any, guilty: int, how: str, where: str, function: str | None
) -> None:
    launched = start({guilty: {"do": f"hang:{how}"}, 1 - guilty: STEP}, **QUICK)
    message = launched.finish()
    assert (message.outcome, message.exit_code, message.reason) == (Outcome.RETRYABLE, 75, "Hang")
    assert message.rank == guilty, message.message
    assert message.message.startswith(f"rank {guilty} fell silent {where}: no progress for ")
    assert (message.traceback is None) == (function is None) == hang_of(launched)["frozen"]
    if function:
        assert message.traceback.splitlines()[-1].endswith(f"in {function}")
    assert launched.survivors() == []


def test_a_stopped_rank_is_named_soon_after_the_time_that_a_step_may_take(start: Any) -> None:
    launched = start({0: STEP, 1: {"do": "hang:stopped"}}, **QUICK)
    victim = launched.rank(1)
    wait_until(lambda: Path(f"/proc/{victim}/stat").read_text().rpartition(")")[2].split()[0] == "T")
    message = launched.finish()
    assert message.rank == 1
    told = re.search(r"no progress for (\d+) s, where (\d+) s are allowed", message.message)
    assert told is not None
    # The launcher looks four times a second; the rest is room for a machine that has other things to do.
    silent, allowed = map(int, told.groups())
    assert 3 == allowed <= silent < 60


def test_of_two_nodes_the_frozen_rank_can_be_told_from_the_one_that_waits(start: Any) -> None:
    shared = {**QUICK, "nnodes": 2, "nproc_per_node": 1}
    ranks = {0: STEP, 1: {"do": "hang:stopped"}}
    waits, frozen = (start(ranks, node_rank=node, **shared) for node in range(2))
    messages = [node.finish() for node in (waits, frozen)]
    assert [(message.reason, message.rank) for message in messages] == [("Hang", 0), ("Hang", 1)]
    assert [hang_of(node)["frozen"] for node in (waits, frozen)] == [False, True]
    assert hang_of(frozen)["beats"] < hang_of(waits)["beats"]


def test_of_two_nodes_the_one_that_has_come_less_far_is_behind(start: Any) -> None:
    shared = {**QUICK, "nnodes": 2, "nproc_per_node": 1}
    ranks = {0: {"do": "hang:data"}, 1: STEP}
    nodes = [start(ranks, node_rank=node, **shared) for node in range(2)]
    messages = [node.finish() for node in nodes]
    assert [message.reason for message in messages] == ["Hang", "Hang"]
    assert [hang_of(node)["frozen"] for node in nodes] == [False, False]
    assert hang_of(nodes[0])["beats"] < hang_of(nodes[1])["beats"]


def test_ranks_that_save_because_they_were_asked_to_leave_have_the_grace_for_it(start: Any) -> None:
    launched = start({0: {**STEP, "drain": 5}, 1: {**STEP, "drain": 5}}, step_timeout=3)
    launched.rank(0), launched.rank(1)
    launched.send(signal.SIGTERM)
    assert launched.finish().outcome is Outcome.PREEMPTED


def test_ranks_that_have_finished_do_not_hang(start: Any) -> None:
    ranks = {0: {"do": "succeed", "phase": "done", "after": 5}, 1: {"do": "succeed", "phase": "done"}}
    assert start(ranks, step_timeout=3).finish().outcome is Outcome.SUCCEEDED


class Rank:
    """A process that does not answer."""

    def __init__(self, *, alive: bool = True) -> None:
        self._alive = alive
        self.asked: list[signal.Signals] = []

    def alive(self) -> bool:
        return self._alive

    def send(self, number: signal.Signals) -> None:
        self.asked.append(number)


class Clock:
    """A clock that goes on only when told."""

    def __init__(self) -> None:
        self.now = time.monotonic_ns()

    def __call__(self) -> int:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += int(seconds * 1e9)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watch(tmp_path: Path, clock: Clock) -> HangWatch:
    """A watch over rank 0, which has begun its second step now and may take 30 seconds for it."""
    heart = HeartbeatFile(RunDir(tmp_path).heartbeat_file(0))
    heart.resume_after(1)
    heart.enter("step")
    return HangWatch(RunDir(tmp_path), bounds_of(30.0, {}), clock)


def look_often(watch: HangWatch, rank: Any, clock: Clock, seconds: float) -> Hang | None:
    """Look every 0.3 s for so long, or until a hang is found."""
    for _ in range(round(seconds / 0.3)):
        clock.sleep(0.3)
        if hang := watch.look([(0, rank)]):
            return hang
    return None


def test_a_rank_that_does_not_answer_is_waited_for_a_second(watch: HangWatch, clock: Clock) -> None:
    rank = Rank()
    assert look_often(watch, rank, clock, 29.9) is None
    assert rank.asked == []
    assert look_often(watch, rank, clock, 0.6) is None
    assert (rank.asked, watch.suspects) == ([STACK_SIGNAL], True)
    hang = look_often(watch, rank, clock, 1.5)
    assert hang is not None
    assert hang.fact() == {"beats": 2, "frozen": True}
    assert (hang.message.rank, hang.message.step) == (0, 1)


def test_a_rank_that_has_ended_in_a_step_does_not_hang(watch: HangWatch, clock: Clock) -> None:
    assert look_often(watch, Rank(alive=False), clock, 3600) is None
    assert look_often(watch, Rank(), clock, 3600) is not None


@pytest.mark.parametrize(("innermost", "waits"), [("/distributed/distributed_c10d.py", True), ("/rows.py", False)])
def test_a_rank_that_only_waits_lets_the_other_nodes_speak_first(
    watch: HangWatch, clock: Clock, tmp_path: Path, innermost: str, waits: bool
) -> None:
    rank, name = Rank(), "0x0000000000000001"
    assert look_often(watch, rank, clock, 30.3) is None
    assert rank.asked == [STACK_SIGNAL]
    stack = f'main thread {name}\nThread {name} (most recent call first):\n  File "{innermost}", line 1 in wait\n'
    RunDir(tmp_path).stack_file(0).write_text(stack)
    assert (look_often(watch, rank, clock, 2.1) is None) is waits
    hang = look_often(watch, rank, clock, 1.2)
    assert hang is not None
    assert not hang.frozen


def test_a_rank_with_too_many_threads_to_show_is_waited_for_and_not_called_frozen(
    watch: HangWatch, clock: Clock, tmp_path: Path
) -> None:
    assert look_often(watch, Rank(), clock, 30.3) is None
    others = 'Thread 0x0000000000000002 (most recent call first):\n  File "rows.py", line 1 in read\n'
    RunDir(tmp_path).stack_file(0).write_text(f"main thread 0x0000000000000001\n{others}...\n")
    assert look_often(watch, Rank(), clock, 0.6) is None
    hang = look_often(watch, Rank(), clock, 0.9)
    assert hang is not None
    assert not hang.frozen
    assert "did not answer" not in hang.message.message
    assert hang.message.traceback == PARTIAL


def test_a_launcher_that_slept_itself_blames_nobody_until_the_time_has_passed_once_more(
    watch: HangWatch, clock: Clock
) -> None:
    rank = Rank()
    clock.sleep(3600)
    assert look_often(watch, rank, clock, 29.9) is None
    assert rank.asked == []
    assert look_often(watch, rank, clock, 3.0) is not None
