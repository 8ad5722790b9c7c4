"""What is settled about an output before anything is started on it."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from finetune_api.errors import ConfigInvalid
from finetune_api.outcomes import Outcome
from finetune_trainer.checkpoint.claims import Claim, claim
from finetune_trainer.output_check import check_output


def check(output: Path, uid: str = "me", attempt: int = 0, resume_from: str | None = None) -> Any:
    return check_output(output, uid=uid, attempt=attempt, resume_from=resume_from)


def finish(output: Path, outcome: str = "Succeeded") -> None:
    claim(output, Claim(2, "me", None))
    summary = {"job_uid": "me", "attempt": 2, "outcome": {"outcome": outcome, "step": 9}}
    (output / "run.json").write_text(json.dumps(summary))


def test_an_empty_output_may_be_used(tmp_path: Path) -> None:
    assert check(tmp_path / "new") is None
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.parametrize("attempt", [0, 2])
def test_a_job_that_has_finished_here_is_over(tmp_path: Path, attempt: int) -> None:
    finish(tmp_path)
    message = check(tmp_path, attempt=attempt)
    assert (message.outcome, message.reason, message.step) == (Outcome.SUCCEEDED, "AlreadyComplete", 9)


def test_a_later_attempt_goes_on(tmp_path: Path) -> None:
    finish(tmp_path)
    assert check(tmp_path, attempt=3) is None


def test_a_run_that_did_not_finish_is_not_over(tmp_path: Path) -> None:
    finish(tmp_path, "Preempted")
    assert check(tmp_path) is None


def test_the_output_of_another_job_is_refused_unless_it_is_continued(tmp_path: Path) -> None:
    finish(tmp_path)
    with pytest.raises(ConfigInvalid, match=r"results of another job \(uid me\).* name that job in resumeFrom"):
        check(tmp_path, "other")
    assert check(tmp_path, "other", resume_from="me") is None


def test_results_that_nobody_claimed_are_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "lost+found").mkdir()
    with pytest.raises(ConfigInvalid, match="holds model already"):
        check(tmp_path)


def test_what_a_preparation_leaves_does_no_harm(tmp_path: Path) -> None:
    for name in ("prepared.json", "outcome.prepare.json", "progress.jsonl", "pid.launcher"):
        (tmp_path / name).write_text("{}")
    assert check(tmp_path) is None


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Root may write anywhere; whoever else runs the tests may not write what is read-only."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65532)
    try:
        yield
    finally:
        os.seteuid(before)


def test_an_output_that_cannot_be_written_names_the_user(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    with ordinary_user(), pytest.raises(ConfigInvalid, match=r"cannot be written by user \d+ .* apply fsGroup"):
        check(tmp_path)
