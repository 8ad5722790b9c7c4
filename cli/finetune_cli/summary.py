"""The last words of `finetune run`: the outcome, where things are, where the time went."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from finetune_api.outcomes import Outcome, RetryPolicy, TerminationMessage, ending_of
from finetune_cli.attempts import Attempt
from finetune_cli.display import duration

_PRODUCTS = {"model": "model", "report": "report.html", "metrics": "metrics.jsonl", "run": "run.json"}
_TIMINGS = {
    "import": "imports",
    "prepare": "waiting for data",
    "load": "loading the model",
    "first_step": "first step",
    "steps": "other steps",
    "eval": "evaluation",
    "save": "saving",
    "export": "export",
}


def as_json(message: TerminationMessage, attempt: Attempt, seconds: float) -> str:
    """The termination message, the paths of what exists, the attempt and the wall time, as one object."""
    fields: dict[str, Any] = json.loads(message.model_dump_json(by_alias=True))
    fields |= {name: _path(attempt, file) for name, file in _PRODUCTS.items()}
    fields |= {"output": str(attempt.output), "logs": str(attempt.directory)}
    fields |= {"attempt": attempt.number, "jobUid": attempt.job_uid, "seconds": round(seconds, 3)}
    return json.dumps(fields)


def as_text(message: TerminationMessage, attempt: Attempt, seconds: float) -> Iterator[str]:
    """The same for a person, line by line; a traceback is in the log already."""
    place = [f"rank {message.rank}"] if message.rank is not None else []
    place += [f"step {message.step}"] if message.step is not None else []
    where = f" ({', '.join(place)})" if place and message.outcome is not Outcome.SUCCEEDED else ""
    yield f"{message.outcome}{where}: {message.message}"
    split = _time_split(attempt)
    yield f"  time     {duration(seconds)}" + (f": {split}" if split else "")
    for name in ("model", "report"):
        path = _path(attempt, _PRODUCTS[name])
        if path is not None and message.outcome is Outcome.SUCCEEDED:
            yield f"  {name:<8} {path}"
    yield f"  logs     {attempt.directory}"
    if _claimed(attempt) and message.outcome is not Outcome.SUCCEEDED:
        yield f"  next     {_what_next(message.outcome)}"


def _what_next(outcome: Outcome) -> str:
    if ending_of(outcome).retry is RetryPolicy.NEVER:
        return "correct what is wrong, then run again with --resume"
    return "add --resume to continue from the last checkpoint"


def _path(attempt: Attempt, name: str) -> str | None:
    path = attempt.output / name
    return str(path) if path.exists() else None


def _claimed(attempt: Attempt) -> bool:
    return (attempt.output / "attempts").is_dir()


def _time_split(attempt: Attempt) -> str:
    """The timings that this attempt left in run.json."""
    try:
        run = json.loads((attempt.output / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    if run.get("attempt") != attempt.number:
        return ""
    timings = run.get("timings") or {}
    known = [(text, timings[name]) for name, text in _TIMINGS.items() if timings.get(name)]
    return ", ".join(f"{text} {seconds:.1f}s" for text, seconds in known)


def default_output(name: str) -> Path:
    """`./NAME-output`, where NAME is the run's, the job's or the file's."""
    return Path(f"{Path(name).name or 'run'}-output").absolute()
