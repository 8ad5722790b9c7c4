import json
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from finetune_api.crd import job_schema
from finetune_api.reasons import AttemptOutcome, ConditionType, State, reason_of
from finetune_api.status import (
    AttemptStatus,
    DatasetStatus,
    FailureStatus,
    FrozenStatus,
    JobStatus,
    OutputsStatus,
    ProgressStatus,
    with_condition,
)
from support.schemas import value_mistakes

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
FULL = JobStatus(
    observed_generation=3,
    conditions=with_condition((), reason_of(ConditionType.RUNNING, "Training"), "It trains.", NOW, 3),
    state=State.RUNNING,
    start_time=NOW,
    running_time=NOW,
    completion_time=NOW,
    restarts=1,
    active_seconds=60,
    attempts=(
        AttemptStatus(
            number=0,
            nodes=2,
            start_time=NOW,
            end_time=NOW,
            outcome=AttemptOutcome.FAILURE,
            reason="Crashed",
            first_step=0,
            last_step=7,
            checkpoint_step=5,
        ),
        AttemptStatus(number=1, nodes=2),
    ),
    dataset=DatasetStatus(rows=90, tokens=9000, dropped=2, sha256="0" * 64),
    progress=ProgressStatus(step=7, total_steps=20, epoch=0.5, loss=2.5, percent=35, last_step_time=NOW),
    outputs=OutputsStatus(model="/output/model", checkpoint="/output/checkpoints/ba5", report="/output/report.html"),
    failure=FailureStatus(reason="Crashed", rank=1, pod="arc-0-1", node="n1", step=7, exit_code=-9, message="Killed."),
    frozen=FrozenStatus(image="example.com/trainer@sha256:0", config_sha256="0" * 64, prepare_mode="Pod"),
)


def test_a_status_survives_the_api_server() -> None:
    assert JobStatus.of({"status": json.loads(json.dumps(FULL.to_json()))}) == FULL


def test_a_status_fits_the_schema() -> None:
    schema = job_schema()["properties"]["status"]
    assert list(value_mistakes(schema, FULL.to_json(), "status")) == []
    assert list(value_mistakes(schema, JobStatus().to_json(), "status")) == []


def test_what_is_not_known_is_left_out() -> None:
    written = FULL.to_json()
    assert written["attempts"][1] == {"number": 1, "nodes": 2}
    assert "evalLoss" not in written["progress"]
    assert written["failure"]["exitCode"] == -9


@pytest.mark.parametrize("document", [{}, {"status": None}, {"status": {}}, {"status": {"observedGeneration": -1}}])
def test_a_job_never_observed_has_an_empty_status(document: dict[str, object]) -> None:
    assert JobStatus.of(document) == JobStatus()
    assert JobStatus().observed_generation == -1


def test_a_status_is_a_value() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        FULL.restarts = 2  # type: ignore[misc]
    assert FULL.model_copy(update={"restarts": 1}) == FULL
    assert hash(FULL.attempts) == hash(JobStatus.of({"status": FULL.to_json()}).attempts)


def test_only_the_last_ten_attempts_are_kept() -> None:
    attempts = tuple(AttemptStatus(number=number, nodes=1) for number in range(11))
    assert len(JobStatus(attempts=attempts[1:]).attempts) == 10
    with pytest.raises(ValidationError):
        JobStatus(attempts=attempts)
