"""The launcher as a process, with ranks, preparation and agent that need no torch."""

import errno
import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from finetune_api.outcomes import Outcome
from support.launching import wait_until

pytestmark = pytest.mark.distributed

RUN: dict[str, Any] = {"do": "run"}


def test_all_ranks_succeeding_is_success(start: Any) -> None:
    message = start({0: {"do": "succeed"}, 1: {"do": "succeed", "after": 0.3}}).finish()
    assert (message.outcome, message.exit_code) == (Outcome.SUCCEEDED, 0)


@pytest.mark.parametrize(("outcome", "code"), [("ConfigInvalid", 2), ("Diverged", 7), ("Retryable", 75)])
def test_a_ranks_own_outcome_is_the_launchers(start: Any, outcome: str, code: int) -> None:
    message = start({0: RUN, 1: {"do": f"outcome:{outcome}"}}).finish()
    assert (message.outcome, message.exit_code, message.rank, message.step) == (outcome, code, 1, 3)
    assert message.message == f"fake {outcome}"


def test_an_own_exception_is_reported_with_its_traceback(start: Any) -> None:
    message = start({0: RUN, 1: {"do": "raise"}}).finish()
    assert (message.outcome, message.exit_code, message.rank, message.step) == (Outcome.CRASHED, 1, 1, 4)
    assert message.traceback.endswith("RuntimeError: the fake worker's own mistake\n")


@pytest.mark.parametrize("code", [17, 143, 0])
def test_leaving_without_an_outcome_is_a_crash_that_names_the_code(start: Any, code: int) -> None:
    message = start({0: RUN, 1: {"do": f"exit:{code}", "leave": "alone"}}).finish()
    assert (message.outcome, message.exit_code, message.rank) == (Outcome.CRASHED, 1, 1)
    assert f"rank 1 left with exit code {code}" in message.message


def test_a_rank_that_leaves_before_it_registered_is_named(start: Any) -> None:
    message = start({0: RUN, 1: {"do": "exit:17", "register": False}}).finish()
    assert "rank 1 left with exit code 17" in message.message


def test_the_signal_that_ended_a_rank_is_named_with_the_last_step(start: Any) -> None:
    message = start({0: {"do": "signal:11", "after": 0.2}, 1: RUN}).finish()
    assert (message.outcome, message.rank, message.step) == (Outcome.CRASHED, 0, 5)
    assert "rank 0 was killed by SIGSEGV" in message.message


def test_a_killed_rank_takes_its_peers_along_at_once(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_KILL_SECONDS", "600")  # the agent would wait as long as no test does
    launched = start({0: {**RUN, "stubborn": True}, 1: RUN, 2: RUN})
    pids = {launched.rank(rank) for rank in range(3)}
    launched.send(signal.SIGKILL, "1")
    wait_until(lambda: not pids & set(launched.survivors()))
    message = launched.finish()
    assert (message.outcome, message.rank, message.step) == (Outcome.CRASHED, 1, 5)
    assert "rank 1 was killed by SIGKILL" in message.message
    assert launched.survivors() == []


def test_a_killed_agent_leaves_no_orphan_and_is_named(start: Any) -> None:
    launched = start({0: RUN, 1: {**RUN, "stubborn": True}})
    launched.rank(0), launched.rank(1)
    launched.send(signal.SIGKILL, "agent")
    message = launched.finish()
    assert (message.outcome, message.rank) == (Outcome.CRASHED, None)
    assert "the torchrun agent was killed by SIGKILL" in message.message
    assert launched.survivors() == []


@pytest.mark.parametrize("prepare_seconds", [0.0, 600.0])
def test_a_killed_launcher_leaves_no_orphan(start: Any, prepare_seconds: float) -> None:
    launched = start({0: RUN, 1: {**RUN, "stubborn": True}}, script={"seconds": prepare_seconds})
    launched.rank(0), launched.rank(1)
    assert len(launched.survivors()) >= 4
    launched.send(signal.SIGKILL)
    wait_until(lambda: not launched.survivors())


def test_the_cause_of_a_broken_collective_may_report_later(start: Any) -> None:
    ranks = {
        0: {"do": "raise", "after_rank": 1, "after": 0.1, "stubborn": True},
        1: {"do": "outcome:Retryable", "beside_rank": 0},
    }
    message = start(ranks, launcher="support.patient_launcher").finish()
    assert (message.outcome, message.rank) == (Outcome.CRASHED, 0)


@pytest.mark.parametrize(
    ("number", "outcome", "code"),
    [
        (signal.SIGTERM, "Preempted", 143),
        (signal.SIGHUP, "Preempted", 143),
        (signal.SIGINT, "Interrupted", 130),
    ],
)
def test_a_request_to_leave_lets_the_ranks_save(start: Any, number: signal.Signals, outcome: str, code: int) -> None:
    launched = start({0: {**RUN, "drain": 0.1}, 1: {**RUN, "drain": 0.5}})
    launched.rank(0), launched.rank(1)
    launched.send(number)
    message = launched.finish()
    assert (message.outcome, message.exit_code, message.step) == (outcome, code, 6)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)])
def test_ranks_that_outlast_the_grace_are_killed(start: Any, number: signal.Signals, code: int) -> None:
    launched = start({0: RUN, 1: {**RUN, "stubborn": True}}, grace=0.6)
    launched.rank(0), launched.rank(1)
    launched.send(number)
    message = launched.finish()
    assert message.exit_code == code
    assert "0.6 s of grace" in message.message
    assert launched.survivors() == []


def test_a_second_interrupt_kills_at_once(start: Any) -> None:
    launched = start({0: RUN, 1: {**RUN, "drain": 600}}, grace=600)
    launched.rank(0), launched.rank(1)
    launched.send(signal.SIGINT)
    wait_until(lambda: launched.dir.read_outcome("0") is not None)  # the first request has reached the ranks
    launched.send(signal.SIGINT)
    message = launched.finish()
    assert (message.outcome, message.exit_code) == (Outcome.INTERRUPTED, 130)
    assert launched.survivors() == []


def test_a_repeated_sigterm_does_not_cut_the_grace_short(start: Any) -> None:
    launched = start({0: {**RUN, "drain": 0.6}})
    launched.rank(0)
    launched.send(signal.SIGTERM)
    time.sleep(0.1)
    launched.send(signal.SIGTERM)
    assert launched.finish().exit_code == 143


def test_a_rank_that_cannot_handle_signals_yet_is_stopped_without_blame(start: Any) -> None:
    launched = start({0: {**RUN, "deaf_at_start": True}})
    launched.rank(0)
    launched.send(signal.SIGTERM)
    message = launched.finish()
    assert (message.outcome, message.exit_code) == (Outcome.RETRYABLE, 75)
    assert "before there was anything to save" in message.message


def test_a_request_before_any_rank_exists_ends_everything(start: Any) -> None:
    launched = start({0: {**RUN, "register": False}}, script={"seconds": 600})
    wait_until(lambda: launched.dir.read_pid("prepare") is not None)
    launched.send(signal.SIGINT)
    message = launched.finish()
    assert message.exit_code == 130
    assert "before there was anything to save" in message.message


def test_ranks_asked_to_leave_while_they_wait_for_data_count_as_drained(start: Any) -> None:
    launched = start({0: {**RUN, "wait_prepared": True}}, script={"seconds": 600})
    launched.rank(0)
    launched.send(signal.SIGTERM)
    assert launched.finish().outcome is Outcome.PREEMPTED


def test_a_failed_preparation_ends_the_waiting_ranks_with_its_outcome(start: Any) -> None:
    ranks = {rank: {**RUN, "wait_prepared": True, "stubborn": True} for rank in range(2)}
    launched = start(ranks, script={"outcome": "DatasetInvalid", "seconds": 0.8})
    message = launched.finish()
    assert (message.outcome, message.exit_code, message.rank) == (Outcome.DATASET_INVALID, 3, None)
    assert message.message == "line 7 is not JSON"


def test_a_killed_preparation_is_named(start: Any) -> None:
    message = start({0: {**RUN, "wait_prepared": True}}, script={"signal": 9}).finish()
    assert message.outcome is Outcome.CRASHED
    assert "the data preparation was killed by SIGKILL" in message.message


def test_another_node_waits_for_the_announcement_of_its_own_attempt(start: Any, tmp_path: Path) -> None:
    output = tmp_path / "output"
    output.mkdir()
    stale = {"directory": "/old", "sha256": "1", "attempt": 0, "jobUid": "job"}
    (output / "prepared.json").write_text(json.dumps(stale), encoding="utf-8")
    rank = {"do": "succeed", "wait_prepared": True}
    other = start({0: {}, 1: rank}, node_rank=1, nnodes=2, nproc_per_node=1, attempt=1)
    wait_until(lambda: 1 in other.dir.rank_pids())
    assert other.dir.read_prepared() is None
    first = start({0: rank, 1: {}}, nnodes=2, nproc_per_node=1, attempt=1)
    assert first.finish().outcome is Outcome.SUCCEEDED
    assert other.finish().outcome is Outcome.SUCCEEDED
    assert other.dir.read_prepared().directory == tmp_path / "cache" / "data"


def test_the_termination_message_is_also_left_where_the_container_asks(start: Any, tmp_path: Path) -> None:
    launched = start({0: {"do": "outcome:Diverged"}}, termination_log=tmp_path / "log")
    message = launched.finish()
    told = (tmp_path / "log").read_text(encoding="utf-8")
    assert told == message.to_json({"progress": json.loads(told)["progress"]})
    assert json.loads(told)["progress"] == {"step": 5, "totalSteps": 12}


def test_an_announcement_that_cannot_be_passed_on_ends_the_node_with_a_word(start: Any, tmp_path: Path) -> None:
    output = tmp_path / "output"
    output.mkdir()
    (tmp_path / "node-1" / "prepared.json").mkdir(parents=True)
    log = tmp_path / "log"
    ranks = {0: {}, 1: {**RUN, "wait_prepared": True}}
    launched = start(ranks, node_rank=1, nnodes=2, nproc_per_node=1, termination_log=log)
    launched.rank(1)
    data = {"directory": "/data", "sha256": "1", "attempt": 0, "jobUid": "job"}
    (output / "prepared.json").write_text(json.dumps(data), encoding="utf-8")
    message = launched.finish()
    assert message.outcome is Outcome.CRASHED
    assert message.message.startswith(f"run directory: {launched.dir.path}")
    assert json.loads(log.read_text(encoding="utf-8"))["message"] == message.message
    assert launched.survivors() == []


def test_an_announcement_that_cannot_be_made_ends_the_node_with_a_word(
    start: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOLUME", json.dumps({"replace": errno.ENOSPC}))
    ranks = {0: {**RUN, "wait_prepared": True, "stubborn": True}, 1: {}}
    options = {"nnodes": 2, "nproc_per_node": 1, "launcher": "support.failing_volume"}
    launched = start(ranks, **options)
    message = launched.finish()
    assert message.outcome is Outcome.RETRYABLE
    assert "output: the disk of" in message.message
    assert launched.survivors() == []
