from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from finetune_api.durations import Duration, Unit

WHOLE_UNITS = [unit for unit in get_args(Unit) if unit != "dur"]
WHOLE = st.builds(Duration, st.integers(0, 2**53), st.sampled_from(WHOLE_UNITS))
FRACTIONS = st.builds(Duration, st.floats(0, 10), st.just("dur"))


@settings(deadline=None)
@given(WHOLE | FRACTIONS)
def test_a_duration_survives_being_written_and_read(duration: Duration) -> None:
    assert Duration.parse(str(duration)) == duration


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [("1ep", 1, "ep"), (3, 3, "ep"), ("100ba", 100, "ba"), ("0.02dur", 0.02, "dur"), ("2000000tok", 2e6, "tok"),
     ("5000sp", 5000, "sp"), (" 1EP ", 1, "ep"), ("1.dur", 1, "dur"), (".5dur", 0.5, "dur")],
)  # fmt: skip
def test_a_duration_is_a_number_and_a_unit(text: str | int, value: float, unit: str) -> None:
    assert Duration.parse(text) == Duration(value, unit)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "ep", "1", "1.5ep", "-1ep", "1 day", "1sec", "1e400ba", True, 1.5, None, []])
def test_anything_else_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match=r"duration|whole|range"):
        Duration.parse(text)  # type: ignore[arg-type]


def test_a_whole_duration_is_written_without_a_point() -> None:
    assert str(Duration(2.0, "ep")) == "2ep"
    assert str(Duration(1, "dur")) == "1dur"


def test_only_whole_durations_have_a_count() -> None:
    assert Duration.parse("100ba").count == 100
    with pytest.raises(ValueError, match="fraction of the run"):
        _ = Duration.parse("0.5dur").count


class Holder(BaseModel):
    time: Duration


def test_pydantic_reads_and_writes_durations_as_a_file_does() -> None:
    assert Holder.model_validate({"time": 1}).time == Duration(1, "ep")
    assert Holder(time=Duration(5, "ba")).model_dump(mode="json") == {"time": "5ba"}
    with pytest.raises(ValidationError, match="is not a duration"):
        Holder.model_validate({"time": "soon"})
