"""Mistakes in the user's own files cost no training pod, and are told in words that name the place."""

import json
from pathlib import Path

from finetune_api.status import JobStatus
from support.example_job import EXAMPLE, NAME, example_job, give_inputs
from support.workspace import Workspace, condition


def test_a_broken_line_is_named_and_no_training_pod_is_ever_made(
    workspace: Workspace, model: Path, tmp_path: Path
) -> None:
    lines = (EXAMPLE / "train.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    lines[56] = lines[56].replace('"gold"', '"gold', 1)
    (tmp_path / "train.jsonl").write_text("".join(lines), encoding="utf-8")
    (tmp_path / "validation.jsonl").write_bytes((EXAMPLE / "validation.jsonl").read_bytes())
    give_inputs(workspace, model, data=tmp_path)
    workspace.apply(example_job())
    status = _failed(workspace, "DatasetInvalid")
    assert status.failure
    assert "/data/train.jsonl, line 57 (row 56 of the file): not JSON" in status.failure.message
    waited = workspace.finetune("wait", NAME)
    assert waited.returncode == 3, waited.stdout


def test_an_error_of_the_users_code_comes_with_its_own_line(workspace: Workspace, model: Path, tmp_path: Path) -> None:
    code = tmp_path / "preprocessing.py"
    code.write_text(
        "def multiple_choice(record):\n    answers = {}\n    return answers[record['query']]\n", encoding="utf-8"
    )
    give_inputs(workspace, model, code=code)
    workspace.apply(example_job())
    status = _failed(workspace, "PreprocessingFailed")
    assert status.failure
    assert "return answers[record['query']]" in status.failure.message
    assert "KeyError" in status.failure.message


def test_a_mistake_in_the_configuration_needs_no_pod_at_all(workspace: Workspace) -> None:
    job = example_job()
    job["spec"]["config"]["optimiser"] = job["spec"]["config"].pop("optimizer")
    workspace.apply(job)
    status = workspace.until(NAME, lambda status: status.state == "Failed")
    assert condition(status, "Failed")[1] == "ConfigInvalid"
    assert "spec.config.optimi" in condition(status, "Failed")[2]
    assert workspace.pods(NAME) == []


def _failed(workspace: Workspace, reason: str) -> JobStatus:
    status = workspace.until_state(NAME, "Failed")
    assert condition(status, "Failed")[1] == reason, workspace.story(NAME)
    assert status.attempts == ()
    events = json.loads(workspace.kubectl("get", "events", "-o", "json"))["items"]
    pods = {event["involvedObject"]["name"] for event in events if event["involvedObject"]["kind"] == "Pod"}
    assert pods == {f"{NAME}-prepare"}
    return status
