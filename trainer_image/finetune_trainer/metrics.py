"""`metrics.jsonl`: one line per optimizer step and per evaluation, each step once whatever attempts a run took."""

import json
import math
import os
from pathlib import Path
from typing import Any

FILE = "metrics.jsonl"


class MetricsFile:
    """Appends lines to this attempt's own file.

    A new attempt writes the file anew, cut back to the step it resumes from, and renames it into place: an older
    attempt that is still alive keeps appending to a file that nobody sees any more.
    """

    def __init__(self, output: Path, *, first_step: int) -> None:
        path = output / FILE
        kept = [line for line in _lines(path) if line["step"] <= first_step]
        draft = output / f".{FILE}.draft"
        with draft.open("w", encoding="utf-8") as file:
            file.writelines(_encode(line) for line in kept)
            file.flush()
            os.fsync(file.fileno())
        # Opened before the rename, so that the handle stays with this attempt's file.
        self._file = draft.open("a", encoding="utf-8")
        draft.replace(path)
        self.evaluations = [line for line in kept if line.get("event") == "eval"]

    def write(self, line: dict[str, Any]) -> None:
        """Append one line and hand it to the operating system, so that a killed process loses none."""
        self._file.write(_encode(line))
        self._file.flush()
        if line.get("event") == "eval":
            self.evaluations.append(line)

    def close(self) -> None:
        """Close the file; nothing can be written afterwards."""
        self._file.close()


def _lines(path: Path) -> list[dict[str, Any]]:
    """Return the lines of an earlier attempt, without a last one that it did not finish."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    whole = text[: text.rfind("\n") + 1].splitlines()
    return [json.loads(line) for line in whole]


def _encode(line: dict[str, Any]) -> str:
    finite = {k: (None if isinstance(v, float) and not math.isfinite(v) else v) for k, v in line.items()}
    return json.dumps(finite, allow_nan=False) + "\n"
