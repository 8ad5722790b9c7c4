import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from finetune_api.status import JobStatus, OutputsStatus, ProgressStatus
from finetune_api.status.part import Message, Trace

TEXT = TypeAdapter(Message)


def test_times_are_whole_seconds_of_utc() -> None:
    east = timezone(timedelta(hours=2))
    status = JobStatus(start_time=datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=east))
    assert status.start_time == datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC)
    assert status.to_json()["startTime"] == "2026-01-02T01:04:05Z"


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValidationError, match="timezone"):
        JobStatus(start_time=datetime(2026, 1, 2))


@pytest.mark.parametrize(("value", "shown"), [(2.345678912, 2.34568), (0.0, 0.0), (-1234567.8, -1234570.0)])
def test_measured_numbers_have_six_digits(value: float, shown: float) -> None:
    assert ProgressStatus(loss=value).loss == shown


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_that_json_cannot_hold_are_refused(value: float) -> None:
    with pytest.raises(ValidationError):
        ProgressStatus(loss=value)


@pytest.mark.parametrize(
    "progress", [{"step": -1}, {"step": 2**60}, {"percent": 101}, {"tokensPerSecond": -1}, {"saveSeconds": 90_000}]
)
def test_numbers_out_of_their_range_are_refused(progress: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ProgressStatus.model_validate(progress)


def test_a_text_from_a_pod_is_cut_to_its_bound() -> None:
    cut = TEXT.validate_python("é" * 9000)
    assert len(cut) == 8192
    assert cut.endswith("é…")
    assert TEXT.validate_python("short") == "short"


def test_of_a_traceback_the_end_is_kept_where_the_error_stands() -> None:
    trace = TypeAdapter(Trace)
    assert trace.validate_python("a\nb\n") == "a\nb"
    assert trace.validate_python("\n".join(str(n) for n in range(99))).splitlines() == [str(n) for n in range(69, 99)]
    long = trace.validate_python("x" * 5000 + "KeyError")
    assert (len(long), long[0], long[-8:]) == (2000, "…", "KeyError")
    assert trace.validate_python("\ud800") == "?"


def test_a_text_that_utf8_cannot_hold_is_mended() -> None:
    assert OutputsStatus(model="/out/\ud800").model == "/out/?"


def test_what_a_newer_operator_wrote_is_left_out() -> None:
    assert JobStatus.model_validate({"restarts": 2, "mood": "good"}) == JobStatus(restarts=2)
