"""Reading back what a run has said about its progress."""

import json
from pathlib import Path
from typing import Any

_TAIL_BYTES = 65536


def last_step(progress_file: Path) -> int | None:
    """The last optimizer step mentioned in a progress file, or None."""
    for line in reversed(_tail(progress_file).splitlines()):
        event = _parse(line)
        if event.get("event") == "step" and isinstance(event.get("step"), int):
            return int(event["step"])
    return None


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
