"""Reading back what a run has said about its progress."""

import json
from pathlib import Path
from typing import Any

_TAIL_BYTES = 65536
_STEP = ("step", "totalSteps", "epoch", "loss", "tokensPerSecond", "percent", "stepSeconds")
_CHECKPOINT = {"step": "lastCheckpointStep", "saveSeconds": "saveSeconds"}


def last_step(progress_file: Path) -> int | None:
    """The last optimizer step mentioned in a progress file, or None."""
    for line in reversed(_tail(progress_file).splitlines()):
        event = _parse(line)
        if event.get("event") == "step" and isinstance(event.get("step"), int):
            return int(event["step"])
    return None


def last_progress(progress_file: Path) -> dict[str, Any]:
    """What the file's end says of the run's progress, by the names of /progress; empty when it says nothing."""
    facts: dict[str, Any] = {}
    for line in _tail(progress_file).splitlines():
        facts |= _facts(_parse(line))
    return facts


def _facts(event: dict[str, Any]) -> dict[str, Any]:
    match event:
        case {"event": "begin", "step": step, "totalSteps": total}:
            return {"firstStep": step, "step": step, "totalSteps": total} | (
                {"lastCheckpointStep": step} if step else {}
            )
        case {"event": "step"}:
            return {name: event[name] for name in _STEP if name in event}
        case {"event": "eval", "loss": loss}:
            return {"evalLoss": loss}
        case {"event": "checkpoint", "weightsOnly": True, "saveSeconds": seconds}:
            return {"saveSeconds": seconds}
        case {"event": "checkpoint"}:
            return {told: event[name] for name, told in _CHECKPOINT.items() if name in event}
    return {}


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def _parse(line: str) -> dict[str, Any]:
    try:
        event = json.loads(line)
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}
