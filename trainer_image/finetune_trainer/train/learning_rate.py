"""The four learning-rate schedules, as functions of the time at which a batch begins.

Semantics follow LLM Foundry and Composer: the multiplier of a batch is taken before it runs, so the first batch of a
warmup from zero has learning rate 0.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from finetune_api.config import (
    ConstantWithWarmup,
    CosineWithWarmup,
    InvSqrtWithWarmup,
    LinearDecayWithWarmup,
    TrainingConfig,
)
from finetune_api.durations import Duration
from finetune_trainer.train.timeline import Clock

Scheduler = ConstantWithWarmup | CosineWithWarmup | InvSqrtWithWarmup | LinearDecayWithWarmup
Multiplier = Callable[[Clock], float]


@dataclass(frozen=True)
class Time:
    """An amount of time in a unit that a clock shows: batches, samples or tokens."""

    value: float
    unit: str

    def at(self, clock: Clock) -> float:
        """Return what the clock shows in this time's unit."""
        return {"ba": clock.batch, "sp": clock.samples, "tok": clock.tokens}[self.unit]


def lr_multiplier(config: TrainingConfig, batches_per_epoch: int) -> Multiplier:
    """Return the function from a batch's clock to the factor on the configured learning rate."""

    def in_clock_units(duration: Duration) -> Time:
        if duration.unit == "dur":
            whole = in_clock_units(config.max_duration)
            return Time(int(duration.value * whole.value), whole.unit)  # whole batches, as Composer counts them
        if duration.unit == "ep":
            return Time(int(duration.value * batches_per_epoch), "ba")
        return Time(duration.value, duration.unit)

    schedule = config.scheduler
    warmup = in_clock_units(schedule.t_warmup)
    if isinstance(schedule, InvSqrtWithWarmup):
        return _inv_sqrt(schedule, warmup, in_clock_units)
    return _decay(schedule, warmup, in_clock_units(schedule.t_max))


def _decay(schedule: Scheduler, warmup: Time, end: Time) -> Multiplier:
    shape, peak = _shape(schedule)

    def multiplier(clock: Clock) -> float:
        now = warmup.at(clock)
        if now < warmup.value:
            return peak * now / warmup.value
        span = end.value - warmup.value
        return shape(min(1.0, (end.at(clock) - warmup.value) / span) if span > 0 else 1.0)

    return multiplier


def _shape(schedule: Scheduler) -> tuple[Callable[[float], float], float]:
    """Return the curve after the warmup over the fraction [0, 1] that has passed, and its first value."""
    match schedule:
        case CosineWithWarmup(alpha_f=last):
            return lambda x: last + (1 - last) * 0.5 * (1 + math.cos(math.pi * x)), 1.0
        case LinearDecayWithWarmup(alpha_i=first, alpha_f=last):
            return lambda x: first + (last - first) * x, first
        case ConstantWithWarmup(alpha=level):
            return lambda x: level, level
        case _:
            raise AssertionError(f"no curve for {schedule.name}")


def _inv_sqrt(schedule: InvSqrtWithWarmup, warmup: Time, convert: Callable[[Duration], Time]) -> Multiplier:
    scale, cooldown, end = convert(schedule.t_scale), convert(schedule.t_cooldown), convert(schedule.t_max)
    cooldown_start = max(warmup.value, end.value - cooldown.value)
    cooling = end.value - cooldown_start  # shorter than t_cooldown where the warmup leaves no more

    def decayed(now: float) -> float:
        coefficient = 1 / math.sqrt((now - warmup.value + scale.value) / scale.value)
        return schedule.alpha_f_decay + coefficient * (1 - schedule.alpha_f_decay)

    def multiplier(clock: Clock) -> float:
        now = scale.at(clock)
        if now < warmup.value:
            return now / warmup.value
        if now < cooldown_start or cooldown.value == 0:
            return decayed(min(now, cooldown_start))
        fraction = min(1.0, (now - cooldown_start) / cooling) if cooling > 0 else 1.0
        level = decayed(cooldown_start)
        return level + fraction * (schedule.alpha_f_cooldown - level)

    return multiplier
