"""What a pod tells of itself is clamped, cut and doubted."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_operator.runtime.progress_reports import read_report

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_report_holds_what_the_status_shows() -> None:
    told = {"phase": "train", "step": 12, "totalSteps": 40, "epoch": 1, "loss": 1.23456789, "evalLoss": None,
            "tokensPerSecond": 99.5, "percent": 30.0, "etaSeconds": 60, "lastStepTime": 1767225600.5,
            "lastCheckpointStep": 10, "dataset": {"rows": 3, "tokens": 30}}  # fmt: skip
    report = read_report(json.dumps(told).encode(), NOW)
    assert report.progress is not None
    assert report.progress.to_json() == {
        "step": 12, "totalSteps": 40, "epoch": 1.0, "loss": 1.23457, "tokensPerSecond": 99.5, "percent": 30.0,
        "estimatedCompletionTime": "2026-01-01T00:01:00Z", "lastCheckpointStep": 10,
        "lastStepTime": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    assert report.dataset is not None
    assert report.dataset.rows == 3


@pytest.mark.parametrize(
    ("field", "value"),
    [("step", -1), ("step", 2**60), ("step", "many"), ("loss", "x"), ("percent", 101), ("etaSeconds", 1e300),
     ("lastStepTime", 1e18), ("lastStepTime", -5), ("epoch", []), ("etaSeconds", True)],
)  # fmt: skip
def test_one_absurd_value_does_not_hide_the_others(field: str, value: object) -> None:
    report = read_report(json.dumps({"totalSteps": 40, field: value}).encode(), NOW)
    assert report.progress is not None
    assert report.progress.to_json() == {"totalSteps": 40}


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"", "Expecting value"),
        (b"[]", "not a JSON object"),
        (b'{"loss": NaN}', "holds NaN"),
        (b'{"loss": -Infinity}', "holds -Infinity"),
        (b"\xff", "can't decode"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"step": 1', "Expecting"),
    ],
)
def test_what_is_no_report_is_refused(answer: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_report(answer, NOW)


def test_infinity_written_as_a_number_is_left_out() -> None:
    report = read_report(b'{"loss": 1e999, "step": 1}', NOW)
    assert report.progress is not None
    assert report.progress.to_json() == {"step": 1}


FACTS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5)
)
NAMES = st.sampled_from(["step", "loss", "epoch", "lastStepTime", "etaSeconds", "percent", "dataset"])


@given(st.dictionaries(NAMES, FACTS | st.lists(FACTS, max_size=2)))
def test_no_document_breaks_the_reader(told: dict[str, object]) -> None:
    report = read_report(json.dumps(told).encode(), NOW)
    assert report.progress is not None
    json.dumps(report.progress.to_json(), allow_nan=False)
