"""The last words of a run."""

import json
from pathlib import Path

import pytest

from finetune_api.outcomes import Outcome, TerminationMessage
from finetune_cli.attempts import Attempt
from finetune_cli.summary import as_json, as_text, default_output


@pytest.fixture
def attempt(tmp_path: Path) -> Attempt:
    (tmp_path / "model").mkdir()
    timings = {"import": 3.21, "prepare": 0, "load": 1.0, "unknown": 5}
    (tmp_path / "run.json").write_text(json.dumps({"attempt": 1, "timings": timings}), encoding="utf-8")
    return Attempt(tmp_path, 1, "uid", resumes=True)


def test_success_names_the_model_and_where_the_time_went(attempt: Attempt) -> None:
    message = TerminationMessage(outcome=Outcome.SUCCEEDED, message="trained 12 steps", rank=0, step=12)
    text = "\n".join(as_text(message, attempt, 65))
    assert text.startswith("Succeeded: trained 12 steps\n  time     1m05s: imports 3.2s, loading the model 1.0s\n")
    assert f"model    {attempt.output / 'model'}" in text
    assert "--resume" not in text


def test_a_failure_names_rank_and_step_and_how_to_go_on(attempt: Attempt) -> None:
    (attempt.output / "attempts").mkdir()
    message = TerminationMessage(outcome=Outcome.CRASHED, message="killed", rank=1, step=5)
    text = "\n".join(as_text(message, attempt, 2))
    assert text.startswith("Crashed (rank 1, step 5): killed\n")
    assert "add --resume" in text


def test_a_mistake_is_to_be_corrected_before_going_on(attempt: Attempt) -> None:
    (attempt.output / "attempts").mkdir()
    message = TerminationMessage(outcome=Outcome.DIVERGED, message="the loss is NaN", rank=0, step=5)
    assert "correct what is wrong, then run again with --resume" in "\n".join(as_text(message, attempt, 2))


def test_the_timings_of_another_attempt_are_not_shown(attempt: Attempt) -> None:
    other = Attempt(attempt.output, 2, "uid", resumes=True)
    message = TerminationMessage(outcome=Outcome.CONFIG_INVALID, message="wrong")
    assert "imports" not in "\n".join(as_text(message, other, 2))


def test_json_agrees_with_the_exit_code_and_names_only_what_exists(attempt: Attempt) -> None:
    report = json.loads(as_json(TerminationMessage(outcome=Outcome.PREEMPTED, message="m"), attempt, 1.5))
    assert (report["outcome"], report["exitCode"], report["seconds"]) == ("Preempted", 143, 1.5)
    assert (report["model"], report["report"]) == (str(attempt.output / "model"), None)
    assert (report["attempt"], report["jobUid"]) == (1, "uid")


@pytest.mark.parametrize(("name", "directory"), [("gpt2", "gpt2-output"), ("a/b", "b-output"), ("/", "run-output")])
def test_the_output_is_named_after_the_run(name: str, directory: str) -> None:
    assert default_output(name) == Path.cwd() / directory
