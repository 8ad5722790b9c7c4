"""Attempts that end before they begin: nothing is started for them."""

import errno
import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from finetune_api.outcomes import Outcome
from finetune_trainer.checkpoint.claims import Claim, claim
from finetune_trainer.launcher import settle
from finetune_trainer.launcher.arguments import parse_arguments
from finetune_trainer.launcher.settle import settled
from finetune_trainer.launcher.signals import SignalInbox
from finetune_trainer.launcher.volume import Asked, Silent, within
from finetune_trainer.run_dir import RunDir
from support.launching import wait_until

pytestmark = pytest.mark.distributed


def test_a_finished_run_ends_at_once_and_trains_nothing(start: Any, tmp_path: Path) -> None:
    output = tmp_path / "output"
    claim(output, Claim(0, "job", None))
    summary = {"job_uid": "job", "attempt": 0, "outcome": {"outcome": "Succeeded", "step": 4}}
    (output / "run.json").write_text(json.dumps(summary))
    launched = start({0: {"do": "raise"}}, termination_log=tmp_path / "log")
    message = launched.finish()
    assert (message.outcome, message.reason, message.step) == (Outcome.SUCCEEDED, "AlreadyComplete", 4)
    assert json.loads((tmp_path / "log").read_text())["reason"] == "AlreadyComplete"
    assert launched.dir.rank_pids() == {}


def test_the_output_of_another_job_is_refused_before_anything_starts(start: Any, tmp_path: Path) -> None:
    claim(tmp_path / "output", Claim(0, "other", None))
    launched = start({0: {"do": "succeed"}})
    assert launched.finish().outcome is Outcome.CONFIG_INVALID
    assert launched.dir.rank_pids() == {}


def test_a_request_to_leave_is_heeded_while_prepared_data_is_looked_for(start: Any) -> None:
    launched = start({0: {"do": "run", "wait_prepared": True}}, prepare="done")
    wait_until(lambda: launched.dir.read_pid("launcher") is not None)
    launched.process.terminate()
    assert launched.finish().outcome in (Outcome.RETRYABLE, Outcome.PREEMPTED)


@pytest.mark.parametrize("attempt", [0, 2])
def test_an_attempt_that_was_overtaken_says_by_which_before_anything_starts(
    attempt: int, start: Any, tmp_path: Path
) -> None:
    claim(tmp_path / "output", Claim(4, "older", None))
    claim(tmp_path / "output", Claim(7, "job", None), resume_from="older")
    launched = start({0: {"do": "raise"}}, attempt=attempt, termination_log=tmp_path / "log")
    message = launched.finish()
    assert (message.outcome, message.reason) == (Outcome.RETRYABLE, "Superseded")
    assert json.loads((tmp_path / "log").read_text())["claimedAttempt"] == 2
    assert launched.dir.rank_pids() == {}


@pytest.mark.parametrize(
    ("call", "number", "outcome"),
    [
        ("mkdir", errno.EROFS, Outcome.RETRYABLE),
        ("mkdir", errno.EIO, Outcome.RETRYABLE),
        ("scandir", errno.ESTALE, Outcome.RETRYABLE),
        ("scandir", errno.ENODEV, Outcome.CRASHED),
    ],
)
def test_what_a_volume_answers_becomes_the_last_words(
    call: str, number: int, outcome: Outcome, start: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOLUME", json.dumps({call: number}))
    if call == "scandir":
        claim(tmp_path / "output", Claim(0, "job", None))
    log = tmp_path / "log"
    launched = start({0: {"do": "raise"}}, attempt=1, launcher="support.failing_volume", termination_log=log)
    message = launched.finish()
    assert message.outcome is outcome
    assert str(tmp_path / "output") in message.message
    assert os.strerror(number) in message.message
    assert json.loads(log.read_text())["message"] == message.message
    assert launched.dir.rank_pids() == {}


@pytest.mark.parametrize("output", ["a-file", "a-file/output"])
def test_an_output_that_is_no_directory_is_a_mistake_in_the_configuration(
    output: str, start: Any, tmp_path: Path
) -> None:
    (tmp_path / "a-file").touch()
    message = start({0: {"do": "raise"}}, output=tmp_path / output).finish()
    assert message.outcome is Outcome.CONFIG_INVALID
    assert "a-file" in message.message


@pytest.fixture
def silent_output(tmp_path: Path) -> Iterator[Path]:
    """An output whose volume does not answer who asks for `run.json`."""
    output, fifo = tmp_path / "output", tmp_path / "output" / "run.json"
    output.mkdir()
    os.mkfifo(fifo)
    yield output
    with os.fdopen(os.open(fifo, os.O_RDWR | os.O_NONBLOCK), "w"):
        time.sleep(0.1)  # whoever was left behind in a thread of this process reads nothing, and ends


def test_a_request_to_leave_is_heeded_while_the_volume_is_silent(start: Any, silent_output: Path) -> None:
    launched = start({0: {"do": "run"}}, output=silent_output)
    wait_until(lambda: launched.dir.read_pid("launcher") is not None)
    launched.process.terminate()
    message = launched.finish()
    assert message.outcome is Outcome.RETRYABLE
    assert message.message == "stopped by SIGTERM before there was anything to save"


@pytest.mark.parametrize(("nodes", "reason"), [(1, "Retryable"), (2, "PreflightFailed")])
def test_a_volume_that_stays_silent_is_told_as_a_fault_of_the_node(
    nodes: int, reason: str, silent_output: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settle, "MEETING_SECONDS" if nodes > 1 else "LONE_SECONDS", 0.3)
    names = {"config": "c", "output": silent_output, "run-dir": tmp_path / "run", "cache": "c", "master-port": 1}
    options = {**names, "job-uid": "job", "nnodes": nodes, "node-rank": nodes - 1}
    launch = parse_arguments([text for name, value in options.items() for text in (f"--{name}", str(value))])
    run_dir = RunDir(launch.run_dir)
    run_dir.create()
    with SignalInbox() as inbox:
        message = settled(launch, inbox, run_dir)
    assert message is not None
    assert (message.outcome, message.reason) == (Outcome.RETRYABLE, reason)
    assert message.message.startswith(f"the output volume of node {nodes - 1} (")
    assert "did not say within 0.3 s whose" in message.message
    assert run_dir.read_preflight().get("suspects") == ([1] if nodes > 1 else None)


def test_a_volume_that_is_slow_is_waited_for_where_no_other_node_waits() -> None:
    assert settle.MEETING_SECONDS < 30 < 120 < settle.LONE_SECONDS


def test_who_asks_a_volume_gets_its_answer_its_error_or_goes_on_without() -> None:
    def fail() -> None:
        raise OSError(errno.EIO, "error")

    assert within(120, lambda: 7, lambda: False) == 7
    with pytest.raises(OSError, match="error"):
        within(120, fail, lambda: False)
    answer = threading.Event()
    try:
        with pytest.raises(Silent):
            within(0.1, answer.wait, lambda: False)
        with pytest.raises(Asked):
            within(120, answer.wait, lambda: True)
    finally:
        answer.set()  # whoever was left behind ends
