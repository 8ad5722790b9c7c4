"""All jobs in a table."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from rich.text import Text

from finetune_cli.cluster.columns import in_columns, state_text
from finetune_cli.cluster.job_view import JobView
from finetune_cli.cluster.progress_text import age, bar, loss, speed, steps, time_left

_HEADER: Final = ("NAME", "STATE", "STEP", "LOSS", "TOKENS/S", "ETA", "RESTARTS", "AGE")
_BAR: Final = 12


def job_table(jobs: Iterable[JobView], now: datetime, *, namespaces: bool = False, bars: bool = False) -> list[Text]:
    """Return the lines of a table of jobs, sorted by name; with bars for a terminal, without for a script."""
    rows = [_row(job, now, namespaces, bars) for job in sorted(jobs, key=lambda job: job.key)]
    return in_columns(rows, ("NAMESPACE", *_HEADER) if namespaces else _HEADER)


def _row(job: JobView, now: datetime, namespaces: bool, bars: bool) -> list[str | Text]:
    progress = job.status.progress
    step: str | Text = steps(progress)
    if bars and progress is not None:
        step = Text(f"{bar(progress, _BAR)} ", "cyan").append(str(step), "")
    return [
        *([job.namespace] if namespaces else []),
        job.name,
        state_text(job.state),
        step,
        loss(progress.loss if progress else None),
        speed(None if job.over else progress),
        time_left(None if job.over else progress, now),
        str(job.status.restarts),
        age(job.created, now),
    ]
