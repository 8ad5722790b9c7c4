import json

import pytest
from pydantic import ValidationError

from finetune_api.crd import job_schema
from finetune_api.status import (
    AttemptStatus,
    JobStatus,
)
from support.full_status import FULL
from support.schemas import value_mistakes


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
