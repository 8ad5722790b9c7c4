"""When something that happens every so often is due."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_api.durations import Duration
from finetune_trainer.train.intervals import elapsed, is_due
from finetune_trainer.train.timeline import Timeline


def timeline(*, rows: int = 10, batch_size: int = 4, epochs: int = 3, tokens: int = 5) -> Timeline:
    """Return a run of three batches per epoch, the last of them short."""
    return Timeline(
        np.full(rows, tokens),
        batch_size=batch_size,
        drop_last=False,
        shuffle=False,
        shuffle_seed=0,
        max_duration=Duration(epochs, "ep"),
    )


def due(interval: str | int, line: Timeline) -> list[int]:
    return [done for done in range(line.total_batches + 1) if is_due(Duration.parse(interval), line, done)]


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        (1, [3, 6, 9]),
        ("2ep", [6]),
        ("1ba", [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ("4ba", [4, 8]),
        ("100ba", []),
        ("8sp", [2, 5, 7]),  # batches end at 4, 8, 10, 14, 18, 20, 24, 28, 30 rows
        ("10sp", [3, 6, 9]),
        ("70tok", [4, 8]),
        ("1dur", [9]),
        ("0.5dur", [5, 9]),
        ("0.1dur", [1, 2, 3, 4, 5, 6, 7, 8, 9]),
    ],
)
def test_an_interval_is_due_at_the_first_boundary_at_or_past_each_multiple(
    interval: str | int, expected: list[int]
) -> None:
    assert due(interval, timeline()) == expected


def test_a_tenth_of_ten_batches_is_due_at_each_of_them_and_three_tenths_at_every_third() -> None:
    ten = timeline(rows=40, epochs=1)
    assert due("0.1dur", ten) == list(range(1, 11))
    assert due("0.3dur", ten) == [3, 6, 9]


def test_nothing_is_due_without_an_interval_or_before_the_first_step() -> None:
    assert not is_due(None, timeline(), 3)
    assert not is_due(Duration(0, "ep"), timeline(), 3)
    assert not is_due(Duration(1, "ba"), timeline(), 0)


@pytest.mark.parametrize(("unit", "expected"), [("ba", 4), ("ep", 4 / 3), ("dur", 4 / 9), ("sp", 14), ("tok", 70)])
def test_the_time_that_batches_take_is_known_in_every_unit(unit: str, expected: float) -> None:
    assert elapsed(unit, timeline(), 4) == pytest.approx(expected)


@given(
    rows=st.integers(1, 30),
    batch_size=st.integers(1, 8),
    epochs=st.integers(1, 4),
    amount=st.integers(1, 40),
    unit=st.sampled_from(["ba", "sp", "tok", "ep"]),
)
def test_a_multiple_is_never_missed_and_never_counted_twice(
    rows: int, batch_size: int, epochs: int, amount: int, unit: str
) -> None:
    line = timeline(rows=rows, batch_size=batch_size, epochs=epochs)
    passed = [elapsed(unit, line, done) for done in range(line.total_batches + 1)]
    expected = [
        done
        for done in range(1, len(passed))
        if any(passed[done - 1] < multiple * amount <= passed[done] for multiple in range(1, 500))
    ]
    assert due(f"{amount}{unit}", line) == expected
