"""The four schedules, against formulas written down a second time."""

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_trainer.train.learning_rate import Multiplier, lr_multiplier
from finetune_trainer.train.timeline import Clock
from support.training import training_config

BATCHES_PER_EPOCH = 12
ROWS_PER_BATCH = 8
TOKENS_PER_BATCH = 640


def at(batch: int) -> Clock:
    """Return the clock of a run whose batches are all alike."""
    return Clock(batch, batch // BATCHES_PER_EPOCH, batch * ROWS_PER_BATCH, batch * TOKENS_PER_BATCH)


def schedule(name: str, *, max_duration: str = "1ep", **settings: Any) -> Multiplier:
    scheduler = {"name": name, "t_warmup": "0ba", **settings}
    config = training_config(Path("gpt2"), {"scheduler": scheduler, "max_duration": max_duration})
    return lr_multiplier(config, BATCHES_PER_EPOCH)


def test_a_warmup_longer_than_the_run_rises_by_a_hundredth_each_step() -> None:
    factor = schedule("cosine_with_warmup", t_warmup="100ba", alpha_f=0.1)
    rates = [6e-4 * factor(at(step)) for step in range(12)]
    assert rates == pytest.approx(
        [0.0, 6e-6, 1.2e-5, 1.8e-5, 2.4e-5, 3e-5, 3.6e-5, 4.2e-5, 4.8e-5, 5.4e-5, 6e-5, 6.6e-5]
    )
    assert rates[0] == 0


def test_a_cosine_falls_from_one_to_its_last_value_over_what_the_warmup_leaves() -> None:
    factor = schedule("cosine_with_warmup", t_warmup="4ba", alpha_f=0.2)
    expected = [0.2 + 0.8 * math.cos(math.pi * (step - 4) / 16) ** 2 for step in range(4, 13)]
    assert [factor(at(step)) for step in range(4, 13)] == pytest.approx(expected)
    assert [factor(at(step)) for step in range(4)] == pytest.approx([0, 0.25, 0.5, 0.75])


def test_a_line_falls_from_its_first_to_its_last_value() -> None:
    factor = schedule("linear_decay_with_warmup", t_warmup="2ba", alpha_i=0.8, alpha_f=0.3)
    assert [factor(at(step)) for step in (0, 1, 2, 7, 12, 30)] == pytest.approx([0, 0.4, 0.8, 0.55, 0.3, 0.3])


def test_a_constant_rises_to_its_level_and_stays() -> None:
    factor = schedule("constant_with_warmup", t_warmup="4ba", alpha=0.5)
    assert [factor(at(step)) for step in (0, 2, 4, 5, 11)] == pytest.approx([0, 0.25, 0.5, 0.5, 0.5])


def test_an_inverse_root_decays_and_then_cools_down_in_a_line() -> None:
    settings = {"t_scale": "5ba", "t_cooldown": "6ba", "t_max": "30ba", "alpha_f_decay": 0.1, "alpha_f_cooldown": 0.02}
    factor = schedule("inv_sqrt_with_warmup", max_duration="30ba", t_warmup="10ba", **settings)

    def decayed(step: int) -> float:
        return 0.1 + 0.9 * math.sqrt(5 / (step - 10 + 5))

    assert [factor(at(step)) for step in (0, 5, 9)] == pytest.approx([0, 0.5, 0.9])
    assert [factor(at(step)) for step in (10, 15, 20)] == pytest.approx([1.0, 0.1 + 0.9 / math.sqrt(2), decayed(20)])
    assert factor(at(27)) == pytest.approx((decayed(24) + 0.02) / 2)
    assert [factor(at(step)) for step in (30, 31)] == pytest.approx([0.02, 0.02])


def test_a_cooldown_that_the_warmup_cuts_short_still_ends_at_its_last_value() -> None:
    settings = {"t_scale": "4ba", "t_cooldown": "12ba", "t_max": "12ba", "alpha_f_cooldown": 0.1}
    factor = schedule("inv_sqrt_with_warmup", max_duration="12ba", t_warmup="4ba", **settings)
    assert [factor(at(step)) for step in (4, 8, 12)] == pytest.approx([1.0, 0.55, 0.1])


def test_without_a_cooldown_the_decay_stops_at_the_end() -> None:
    settings = {"t_scale": "4ba", "t_cooldown": "0ba", "t_max": "12ba"}
    factor = schedule("inv_sqrt_with_warmup", max_duration="12ba", **settings)
    assert [factor(at(step)) for step in (0, 12, 40)] == pytest.approx([1.0, 0.5, 0.5])


@pytest.mark.parametrize(
    ("max_duration", "t_warmup", "t_max"),
    [
        ("2ep", "1ep", "2ep"),
        ("2ep", "0.5dur", "1dur"),
        ("2ep", "12ba", "24ba"),
        ("24ba", "12ba", "1dur"),
        ("192sp", "96sp", "1dur"),
        ("192sp", "0.5dur", "192sp"),
        ("15360tok", "7680tok", "1dur"),
        ("15360tok", "0.5dur", "15360tok"),
    ],
)
def test_the_same_times_in_any_unit_give_the_same_schedule(max_duration: str, t_warmup: str, t_max: str) -> None:
    factor = schedule("linear_decay_with_warmup", max_duration=max_duration, t_warmup=t_warmup, t_max=t_max)
    expected = [step / 12 for step in range(12)] + [1 - (step - 12) / 12 for step in range(12, 25)]
    assert [factor(at(step)) for step in range(25)] == pytest.approx(expected)


def test_tokens_count_as_they_come_not_by_batches() -> None:
    factor = schedule("linear_decay_with_warmup", max_duration="1000tok", t_warmup="100tok")
    assert factor(Clock(batch=3, epoch=0, samples=24, tokens=50)) == pytest.approx(0.5)
    assert factor(Clock(batch=3, epoch=0, samples=24, tokens=550)) == pytest.approx(0.5)


def test_a_longer_t_max_leaves_the_end_of_the_run_above_the_last_value() -> None:
    factor = schedule("linear_decay_with_warmup", max_duration="12ba", t_max="24ba")
    assert factor(at(12)) == pytest.approx(0.5)


@given(
    name=st.sampled_from(["cosine_with_warmup", "linear_decay_with_warmup", "constant_with_warmup"]),
    warmup=st.integers(1, 50),
    rest=st.integers(1, 50),
)
def test_no_schedule_jumps(name: str, warmup: int, rest: int) -> None:
    end = warmup + rest
    factor = schedule(name, max_duration=f"{end}ba", t_warmup=f"{warmup}ba")
    values = [factor(at(step)) for step in range(end + 3)]
    steepest = max(1 / warmup, math.pi / 2 / rest) + 1e-9
    assert all(abs(after - before) <= steepest for before, after in pairwise(values))
    assert all(0 <= value <= 1 for value in values)


@given(warmup=st.integers(0, 20), scale=st.integers(1, 20), cooldown=st.integers(1, 60), rest=st.integers(1, 60))
def test_an_inverse_root_never_rises_after_its_warmup(warmup: int, scale: int, cooldown: int, rest: int) -> None:
    end = warmup + rest
    times = {"t_warmup": f"{warmup}ba", "t_scale": f"{scale}ba", "t_cooldown": f"{cooldown}ba"}
    factor = schedule("inv_sqrt_with_warmup", max_duration=f"{end}ba", **times)
    values = [factor(at(step)) for step in range(warmup, end + 2)]
    assert values[0] == pytest.approx(1.0)
    assert all(after <= before + 1e-12 for before, after in pairwise(values))
    assert values[-1] == pytest.approx(0.0)


def test_fractions_of_a_run_are_whole_batches_rounded_down() -> None:
    fraction = schedule("constant_with_warmup", t_warmup="0.3dur")  # 3.6 of 12 batches
    whole = schedule("constant_with_warmup", t_warmup="3ba")
    assert [fraction(at(step)) for step in range(12)] == [whole(at(step)) for step in range(12)]
    assert schedule("constant_with_warmup", t_warmup="0.05dur")(at(0)) == 1.0
