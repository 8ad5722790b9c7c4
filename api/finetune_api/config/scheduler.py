"""`scheduler`: how the learning rate rises, falls and ends, and which units of time go together."""

from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from finetune_api.config.section import Section
from finetune_api.durations import UNIT_NAMES, Duration, Unit
from finetune_api.errors import Problem

WHOLE_RUN: Final = Duration(1, "dur")

_T_WARMUP: Any = Field(description="Time over which the learning rate rises from 0.")
_T_MAX: Any = Field(default=WHOLE_RUN, description="Time at which the final value is reached.")
_SCALE_WARMUP: Any = Field(default=False, description="Accepted; only matters when schedules are scaled.")


class CosineWithWarmup(Section):
    """Linear warmup, then a half cosine from 1 to `alpha_f` of the learning rate at `t_max`."""

    name: Literal["cosine_with_warmup"] = Field(description="The kind of scheduler.")
    t_warmup: Duration = _T_WARMUP
    t_max: Duration = _T_MAX
    alpha_f: float = Field(default=0.0, ge=0, description="Final learning rate over the peak.")
    scale_warmup: bool = _SCALE_WARMUP


class LinearDecayWithWarmup(Section):
    """Linear warmup to `alpha_i`, then a line to `alpha_f` of the learning rate at `t_max`."""

    name: Literal["linear_decay_with_warmup"] = Field(description="The kind of scheduler.")
    t_warmup: Duration = _T_WARMUP
    t_max: Duration = _T_MAX
    alpha_i: float = Field(default=1.0, ge=0, description="Learning rate after the warmup, over the peak.")
    alpha_f: float = Field(default=0.0, ge=0, description="Final learning rate over the peak.")
    scale_warmup: bool = _SCALE_WARMUP


class ConstantWithWarmup(Section):
    """Linear warmup to `alpha` of the learning rate, then no change."""

    name: Literal["constant_with_warmup"] = Field(description="The kind of scheduler.")
    t_warmup: Duration = _T_WARMUP
    t_max: Duration = _T_MAX
    alpha: float = Field(default=1.0, ge=0, description="Learning rate after the warmup, over the peak.")
    scale_warmup: bool = _SCALE_WARMUP


class InvSqrtWithWarmup(Section):
    """Linear warmup, decay with the inverse root of time, and a linear cooldown at the end."""

    name: Literal["inv_sqrt_with_warmup"] = Field(description="The kind of scheduler.")
    t_warmup: Duration = _T_WARMUP
    t_scale: Duration = Field(description="Time scale of the decay.")
    t_cooldown: Duration = Field(description="Length of the linear cooldown before t_max.")
    t_max: Duration = _T_MAX
    alpha_f_decay: float = Field(default=0.0, ge=0, description="Limit of the decay, over the peak.")
    alpha_f_cooldown: float = Field(default=0.0, ge=0, description="Final learning rate over the peak.")
    scale_warmup: bool = _SCALE_WARMUP


Scheduler = Annotated[
    CosineWithWarmup | LinearDecayWithWarmup | ConstantWithWarmup | InvSqrtWithWarmup,
    Field(discriminator="name"),
]


def schedule_unit(duration: Duration, max_duration: Duration) -> Unit:
    """Return the unit a scheduler counts `duration` in: epochs, and parts of a run in epochs, as batches."""
    unit = max_duration.unit if duration.unit == "dur" else duration.unit
    return "ba" if unit == "ep" else unit


def schedule_length(duration: Duration, max_duration: Duration, batches_per_epoch: int | None) -> float | None:
    """Return `duration` in its schedule unit, or None when only the dataset's length could tell."""
    fraction = duration.value if duration.unit == "dur" else 1.0
    length = max_duration if duration.unit == "dur" else duration
    if length.unit != "ep":
        return fraction * length.value
    return None if batches_per_epoch is None else fraction * length.value * batches_per_epoch


def schedule_problems(
    scheduler: CosineWithWarmup | LinearDecayWithWarmup | ConstantWithWarmup | InvSqrtWithWarmup,
    max_duration: Duration,
    batches_per_epoch: int | None = None,
) -> Iterator[Problem]:
    """Yield what is wrong between the times of `scheduler` and `max_duration`.

    Without `batches_per_epoch`, epochs and batches are only compared among themselves.
    """
    unit = schedule_unit(scheduler.t_max, max_duration)
    for key in ("t_warmup", "t_scale", "t_cooldown"):
        time = getattr(scheduler, key, None)
        if time is not None and schedule_unit(time, max_duration) != unit:
            yield Problem(
                f"scheduler.{key}",
                f"{time} cannot be compared with t_max, {_in_words(scheduler.t_max, max_duration)}",
                f"write both in {UNIT_NAMES[unit]}",
            )
    if _ends_early(scheduler.t_max, max_duration, batches_per_epoch):
        yield Problem(
            "scheduler.t_max",
            f"{scheduler.t_max} ends before max_duration, {max_duration}",
            "leave t_max out to reach the final learning rate at the end of the run",
        )


def _ends_early(t_max: Duration, max_duration: Duration, batches_per_epoch: int | None) -> bool:
    if t_max.unit == "dur":
        return t_max.value < 1
    if t_max.unit == max_duration.unit:
        return t_max.value < max_duration.value
    if schedule_unit(t_max, max_duration) != schedule_unit(WHOLE_RUN, max_duration):
        return False  # not comparable before the run; both simply count
    end = schedule_length(t_max, max_duration, batches_per_epoch)
    run = schedule_length(WHOLE_RUN, max_duration, batches_per_epoch)
    return end is not None and run is not None and end < run


def _in_words(duration: Duration, max_duration: Duration) -> str:
    unit = UNIT_NAMES[schedule_unit(duration, max_duration)]
    return f"which counts {unit} ({duration})" if duration.unit in ("dur", "ep") else str(duration)
