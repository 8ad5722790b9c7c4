"""Whose the output is, is settled before anything is fetched onto it."""

import json
from pathlib import Path
from typing import Any

import pytest

from finetune_api.outcomes import Outcome
from finetune_trainer.checkpoint.claims import Claim, claim

NOTHING = ("--model", "https://127.0.0.1/model")
"""A source that is refused as soon as somebody looks at it."""


@pytest.fixture
def owner(tmp_path: Path, to: Path) -> tuple[str, ...]:
    """The output of job `b`, on which a model lies that was fetched for job `a`."""
    (to / "model").mkdir(parents=True)
    (to / "model/config.json").write_text("{}")
    claim(tmp_path, Claim(0, "a", None))
    return "--output", str(tmp_path), "--job-uid", "b"


def test_what_another_job_fetched_is_left_alone(fetch: Any, to: Path, owner: tuple[str, ...]) -> None:
    done = fetch(*owner, *NOTHING)
    assert done.outcome is Outcome.CONFIG_INVALID
    assert "results of another job (uid a)" in done.words["message"]
    assert [path.name for path in to.iterdir()] == ["model"]


def test_the_output_of_a_job_that_is_continued_may_be_used(fetch: Any, owner: tuple[str, ...]) -> None:
    assert fetch(*owner, "--resume-from", "a").outcome is Outcome.SUCCEEDED


def test_for_a_job_that_has_finished_nothing_is_fetched_again(fetch: Any, tmp_path: Path) -> None:
    claim(tmp_path, Claim(1, "b", None))
    finished = {"job_uid": "b", "attempt": 1, "outcome": {"outcome": "Succeeded", "step": 9}}
    (tmp_path / "run.json").write_text(json.dumps(finished))
    done = fetch("--output", str(tmp_path), "--job-uid", "b", *NOTHING)
    assert (done.outcome, done.words["reason"]) == (Outcome.SUCCEEDED, "AlreadyComplete")
