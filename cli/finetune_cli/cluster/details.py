"""Everything that is known of one job, section by section."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from rich.text import Text

from finetune_api.status import AttemptStatus, Condition
from finetune_cli.cluster.advice import advice
from finetune_cli.cluster.columns import in_columns, labelled, state_text, text
from finetune_cli.cluster.job_view import JobView
from finetune_cli.cluster.progress_text import NOTHING, age, bar, facts

_BAR: Final = 30
_TRACEBACK_LINES: Final = 20


def job_details(job: JobView, now: datetime, *, traceback: str | None = None, bars: bool = False) -> list[Text]:
    """Return the lines that tell of a job; `traceback` is what its failed pod left."""
    sections = {
        "progress": _progress(job, now, bars),
        "dataset": _dataset(job),
        "attempts": _attempts(job, now),
        "conditions": _conditions(job.status.conditions, now),
        "outputs": _outputs(job),
        "failure" if job.over else "last failure": _failure(job, traceback),
        "next": [text(line) for line in advice(job)],
    }
    lines = _head(job, now)
    return lines + [line for label, found in sections.items() for line in labelled(label, found)]


def _head(job: JobView, now: datetime) -> list[Text]:
    first = Text(job.name, "bold").append("   ").append_text(state_text(job.state))
    if job.sentence:
        first.append(": ").append_text(text(job.sentence))
    ended = f", over for {age(job.status.completion_time, now)}" if job.status.completion_time else ""
    shape = f"{_counted(job.nodes, 'node')} with {_counted(job.processes, 'rank')} each"
    second = f"namespace {job.namespace}, {shape}, created {age(job.created, now)} ago{ended}"
    return [first, text(second, "dim")]


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number > 1 else ''}"


def _progress(job: JobView, now: datetime, bars: bool) -> list[Text]:
    progress = job.status.progress
    if progress is None:
        return []
    line = Text(f"{bar(progress, _BAR)} ", "cyan") if bars and bar(progress, _BAR) else Text()
    known = facts(progress, now)
    if job.over:
        known = [fact for fact in known if not fact.endswith(" left")]
    lines = [line.append(" · ".join(known), "")]
    times = [f"last step {age(progress.last_step_time, now)} ago"] if progress.last_step_time and not job.over else []
    if progress.last_checkpoint_step is not None:
        times.append(f"last checkpoint at step {progress.last_checkpoint_step}")
    return lines + ([text(" · ".join(times))] if times else [])


def _dataset(job: JobView) -> list[Text]:
    dataset = job.status.dataset
    if dataset is None:
        return []
    known = {"rows": dataset.rows, "tokens": dataset.tokens, "rows dropped": dataset.dropped}
    words = [f"{count} {name}" for name, count in known.items() if count is not None]
    words += [f"sha256 {dataset.sha256[:12]}"] if dataset.sha256 else []
    return [text(", ".join(words))] if words else []


def _attempts(job: JobView, now: datetime) -> list[Text]:
    if not job.status.attempts:
        return []
    header = ("#", "NODES", "STEPS", "TIME", "OUTCOME", "REASON", "MESSAGE")
    newest = job.status.attempts[-1]
    rows = [_attempt(job, attempt, attempt is newest, now) for attempt in job.status.attempts]
    return in_columns(rows, header) + ([] if job.over else _granted(job, newest))


def _granted(job: JobView, newest: AttemptStatus) -> list[Text]:
    """What the newest attempt has that the job does not ask for."""
    avoided = newest.avoided_nodes or ()
    words = [f"avoids {'node' if len(avoided) == 1 else 'nodes'} {', '.join(avoided)}"] if avoided else []
    words += [f"{newest.grace_seconds} s to save"] if (newest.grace_seconds or 0) > job.grace else []
    return [text(f"attempt {newest.number}: {', '.join(words)}", "dim")] if words else []


def _attempt(job: JobView, attempt: AttemptStatus, newest: bool, now: datetime) -> Sequence[str | Text]:
    last = attempt.last_step
    if last is None and newest and job.status.progress:
        last = job.status.progress.step
    first = NOTHING if attempt.first_step is None else str(attempt.first_step)
    outcome = attempt.outcome.value if attempt.outcome else ("Running" if attempt.running_time else "Starting")
    return (
        str(attempt.number),
        _nodes(attempt),
        f"{first} to {last}" if last is not None else f"from {first}",
        age(attempt.start_time, attempt.end_time or now),
        state_text(outcome),
        attempt.reason or NOTHING,
        _one_line(attempt.message or ""),
    )


def _nodes(attempt: AttemptStatus) -> str:
    """Fewer than were wanted are told as such."""
    wanted = attempt.wanted_nodes
    return str(attempt.nodes) if wanted in (None, attempt.nodes) else f"{attempt.nodes} of {wanted}"


def _conditions(conditions: Sequence[Condition], now: datetime) -> list[Text]:
    header = ("TYPE", "STATUS", "REASON", "FOR", "MESSAGE")
    rows = [
        (one.type, one.status, one.reason, age(one.last_transition_time, now), _one_line(one.message))
        for one in conditions
    ]
    return in_columns(rows, header) if rows else []


def _outputs(job: JobView) -> list[Text]:
    outputs = job.status.outputs
    if outputs is None:
        return []
    known = {"model": outputs.model, "checkpoint": outputs.checkpoint, "report": outputs.report}
    return in_columns([(name, path) for name, path in known.items() if path])


def _failure(job: JobView, traceback: str | None) -> list[Text]:
    failure = job.status.failure
    if failure is None or job.complete:
        return []
    where = failure.where()
    first = Text(failure.reason, "bold red").append(f": {where}" if where else "", "")
    said = [text(line) for line in failure.message.splitlines()]
    lines = (traceback or failure.traceback or "").rstrip().splitlines()[-_TRACEBACK_LINES:]
    return [first, *said, *(text(f"  {line}", "dim") for line in lines)]


def _one_line(message: str) -> str:
    """The first line; a list of mistakes is told in full at the top and under the failure."""
    first, *rest = message.splitlines() or [""]
    return f"{first} …" if rest else first
