"""Attempts that end before they begin: nothing is started for them."""

import json
from pathlib import Path
from typing import Any

import pytest

from finetune_api.outcomes import Outcome
from finetune_trainer.checkpoint.claims import Claim, claim
from support.launching import wait_until

pytestmark = pytest.mark.distributed


def test_a_finished_run_ends_at_once_and_trains_nothing(start: Any, tmp_path: Path) -> None:
    output = tmp_path / "output"
    claim(output, Claim(0, "job", None))
    summary = {"job_uid": "job", "attempt": 0, "outcome": {"outcome": "Succeeded", "step": 4}}
    (output / "run.json").write_text(json.dumps(summary))
    launched = start({0: {"do": "raise"}}, termination_log=tmp_path / "log")
    message = launched.finish(timeout=5)
    assert (message.outcome, message.reason, message.step) == (Outcome.SUCCEEDED, "AlreadyComplete", 4)
    assert json.loads((tmp_path / "log").read_text())["reason"] == "AlreadyComplete"
    assert launched.dir.rank_pids() == {}


def test_the_output_of_another_job_is_refused_before_anything_starts(start: Any, tmp_path: Path) -> None:
    claim(tmp_path / "output", Claim(0, "other", None))
    launched = start({0: {"do": "succeed"}})
    assert launched.finish(timeout=5).outcome is Outcome.CONFIG_INVALID
    assert launched.dir.rank_pids() == {}


def test_a_request_to_leave_is_heeded_while_prepared_data_is_looked_for(start: Any) -> None:
    launched = start({0: {"do": "run", "wait_prepared": True}}, prepare="done")
    wait_until(lambda: launched.dir.read_pid("launcher") is not None)
    launched.process.terminate()
    assert launched.finish(timeout=10).outcome in (Outcome.RETRYABLE, Outcome.PREEMPTED)


@pytest.mark.parametrize("attempt", [0, 2])
def test_an_attempt_that_was_overtaken_says_by_which_before_anything_starts(
    attempt: int, start: Any, tmp_path: Path
) -> None:
    claim(tmp_path / "output", Claim(4, "older", None))
    claim(tmp_path / "output", Claim(7, "job", None), resume_from="older")
    launched = start({0: {"do": "raise"}}, attempt=attempt, termination_log=tmp_path / "log")
    message = launched.finish(timeout=15)
    assert (message.outcome, message.reason) == (Outcome.RETRYABLE, "Superseded")
    assert json.loads((tmp_path / "log").read_text())["claimedAttempt"] == 2
    assert launched.dir.rank_pids() == {}
