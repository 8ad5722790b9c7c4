"""When something that happens every so often is due."""

from finetune_api.durations import Duration
from finetune_trainer.train.timeline import Timeline


def is_due(interval: Duration | None, timeline: Timeline, done: int) -> bool:
    """Return whether the boundary after `done` batches is the first at or past a multiple of `interval`."""
    if interval is None or interval.value <= 0 or done <= 0:
        return False
    return _periods(interval, timeline, done) > _periods(interval, timeline, done - 1)


def _periods(interval: Duration, timeline: Timeline, batches: int) -> int:
    passed = elapsed(interval.unit, timeline, batches)
    return int(passed / interval.value + 1e-9)  # three tenths are not quite three times a tenth


def elapsed(unit: str, timeline: Timeline, batches: int) -> float:
    """Return the time that `batches` batches take, in `unit`."""
    match unit:
        case "ba":
            return batches
        case "ep":
            return batches / timeline.batches_per_epoch
        case "dur":
            return batches / timeline.total_batches
        case "sp":
            return timeline.clock(batches).samples
        case _:
            return timeline.clock(batches).tokens
