"""How far a run is, in words and as a bar."""

import re
from datetime import datetime, timedelta
from typing import Final

from finetune_api.status import ProgressStatus

NOTHING: Final = "-"
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def printable(text: str) -> str:
    """Return `text` without what a terminal would obey: some of it was written by a pod."""
    return _CONTROL.sub("", text)


def bar(progress: ProgressStatus | None, width: int, *, plain: bool = False) -> str:
    """Return a bar of `width` characters for the share of steps that are done; empty while that is unknown."""
    share = share_done(progress)
    if share is None:
        return ""
    done = round(share * width)
    full, rest = ("#", ".") if plain else ("━", "╌")
    return full * done + rest * (width - done)


def share_done(progress: ProgressStatus | None) -> float | None:
    """Return the part of the run that is done, from 0 to 1."""
    if progress is None:
        return None
    if progress.step is not None and progress.total_steps:
        return min(1.0, progress.step / progress.total_steps)
    return None if progress.percent is None else progress.percent / 100


def steps(progress: ProgressStatus | None) -> str:
    """`12/40`, or `12` while the end is unknown."""
    if progress is None or progress.step is None:
        return NOTHING
    return f"{progress.step}/{progress.total_steps}" if progress.total_steps else str(progress.step)


def loss(value: float | None) -> str:
    """A loss with four digits after the point."""
    return NOTHING if value is None else f"{value:.4f}"


def speed(progress: ProgressStatus | None) -> str:
    """Tokens per second."""
    known = progress.tokens_per_second if progress else None
    return NOTHING if known is None else f"{known:.0f}"


def time_left(progress: ProgressStatus | None, now: datetime) -> str:
    """The time until the estimated end."""
    end = progress.estimated_completion_time if progress else None
    return NOTHING if end is None else age(now, end)


def facts(progress: ProgressStatus, now: datetime) -> list[str]:
    """The numbers of a run, as many of them as are known."""
    found = [f"step {steps(progress)}"] if progress.step is not None else []
    share = share_done(progress)
    found += [f"{share:.0%}"] if share is not None else []
    found += [f"epoch {progress.epoch:.2f}"] if progress.epoch is not None else []
    found += [f"loss {loss(progress.loss)}"] if progress.loss is not None else []
    found += [f"eval loss {loss(progress.eval_loss)}"] if progress.eval_loss is not None else []
    found += [f"{speed(progress)} tokens/s"] if progress.tokens_per_second is not None else []
    left = time_left(progress, now)
    return found + ([f"{left} left"] if left != NOTHING else [])


def age(since: datetime | None, now: datetime) -> str:
    """The time from one moment to another in at most two units: `42s`, `3m05s`, `2h07m`, `6d04h`."""
    if since is None:
        return NOTHING
    whole = max(0, int((now - since) / timedelta(seconds=1)))
    for unit, small, size in (("d", "h", 86_400), ("h", "m", 3600), ("m", "s", 60)):
        if whole >= size:
            smaller = {"h": 3600, "m": 60, "s": 1}[small]
            return f"{whole // size}{unit}{whole % size // smaller:02}{small}"
    return f"{whole}s"
