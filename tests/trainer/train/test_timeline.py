"""The order of rows and the clock, against a loop that simply goes through the epochs."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune_api.durations import Duration
from finetune_trainer.train.timeline import Clock, Timeline
from support.training import training_config


@dataclass(frozen=True)
class Plan:
    lengths: tuple[int, ...]
    batch_size: int
    drop_last: bool
    shuffle: bool
    shuffle_seed: int

    def timeline(self, max_duration: Duration) -> Timeline:
        return Timeline(
            np.array(self.lengths),
            batch_size=self.batch_size,
            drop_last=self.drop_last,
            shuffle=self.shuffle,
            shuffle_seed=self.shuffle_seed,
            max_duration=max_duration,
        )


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    lengths = tuple(draw(st.lists(st.integers(1, 9), min_size=1, max_size=12)))
    return Plan(
        lengths=lengths,
        batch_size=draw(st.integers(1, len(lengths))),
        drop_last=draw(st.booleans()),
        shuffle=draw(st.booleans()),
        shuffle_seed=draw(st.integers(0, 99)),
    )


def naive(plan: Plan) -> Iterator[tuple[Clock, list[int]]]:
    """Yield every batch, for ever, with the clock at its beginning."""
    n = len(plan.lengths)
    batch = samples = tokens = 0
    for epoch in count():
        order = list(range(n))
        if plan.shuffle:
            order = torch.randperm(n, generator=torch.Generator().manual_seed(plan.shuffle_seed + epoch)).tolist()
        while len(order) >= plan.batch_size or (order and not plan.drop_last):
            rows, order = order[: plan.batch_size], order[plan.batch_size :]
            yield Clock(batch, epoch, samples, tokens), rows
            batch, samples = batch + 1, samples + len(rows)
            tokens += sum(plan.lengths[row] for row in rows)


def naive_total(plan: Plan, duration: Duration) -> int:
    """Run batch after batch until the clock has reached the duration."""
    for clock, _ in naive(plan):
        passed = {"ep": clock.epoch, "ba": clock.batch, "sp": clock.samples, "tok": clock.tokens}[duration.unit]
        if passed >= duration.value:
            return clock.batch
    raise AssertionError("the loop above never ends")


@given(plan=plans())
def test_every_batch_and_its_clock_equal_those_of_a_plain_loop(plan: Plan) -> None:
    timeline = plan.timeline(Duration(1, "ep"))
    expected = list(islice(naive(plan), 20))
    assert [timeline.clock(clock.batch) for clock, _ in expected] == [clock for clock, _ in expected]
    assert [timeline.rows(clock.batch).tolist() for clock, _ in expected] == [rows for _, rows in expected]


@given(plan=plans(), batches=st.lists(st.integers(0, 30), max_size=6))
def test_the_clock_does_not_depend_on_what_was_asked_before(plan: Plan, batches: list[int]) -> None:
    timeline = plan.timeline(Duration(1, "ep"))
    expected = dict(enumerate(islice(naive(plan), 31)))
    for batch in batches:
        clock, rows = expected[batch]
        assert timeline.clock(batch) == clock
        assert timeline.rows(batch).tolist() == rows


@settings(max_examples=200)
@given(plan=plans(), unit=st.sampled_from(["ep", "ba", "sp", "tok"]), amount=st.integers(1, 60))
def test_a_run_ends_at_the_first_batch_at_which_its_duration_has_passed(plan: Plan, unit: str, amount: int) -> None:
    duration = Duration(amount if unit != "ep" else min(amount, 5), unit)  # type: ignore[arg-type]
    assert plan.timeline(duration).total_batches == naive_total(plan, duration)


@pytest.mark.parametrize(
    ("part", "batches"),
    [(1.0, 12), (0.5, 6), (0.25, 3), (0.26, 4), (0.02, 1), (1 / 3, 4)],
)
def test_a_part_of_the_run_is_rounded_up_to_whole_batches(part: float, batches: int) -> None:
    plan = Plan(lengths=(1,) * 100, batch_size=8, drop_last=True, shuffle=False, shuffle_seed=0)
    assert plan.timeline(Duration(1, "ep")).batches_in(Duration(part, "dur")) == batches


def test_a_hundred_rows_in_batches_of_eight_make_twelve_batches_when_the_last_is_dropped() -> None:
    plan = Plan(lengths=(1,) * 100, batch_size=8, drop_last=True, shuffle=True, shuffle_seed=3)
    order = torch.randperm(100, generator=torch.Generator().manual_seed(4)).tolist()
    timeline = plan.timeline(Duration(2, "ep"))
    assert timeline.total_batches == 24
    assert timeline.rows(12).tolist() == order[:8]  # the second epoch has the next seed
    assert timeline.rows(23).tolist() == order[88:96]


def test_the_settings_that_decide_the_order_are_named_as_in_the_file(gpt2_dir: Path) -> None:
    dataset = {"hf_name": "json", "shuffle": True, "shuffle_seed": 5}
    config = training_config(gpt2_dir, {"train_loader": {"name": "finetuning", "dataset": dataset}})
    assert Timeline.of(config, np.ones(9, dtype=np.int64)).order_settings() == {
        "global_train_batch_size": 4,
        "train_loader.drop_last": False,
        "train_loader.dataset.shuffle": True,
        "train_loader.dataset.shuffle_seed": 5,
    }
