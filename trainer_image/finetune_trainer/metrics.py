"""`metrics.jsonl`: one line per optimizer step and per evaluation, each step once whatever attempts a run took."""

import json
import math
import os
from pathlib import Path
from typing import Any

from finetune_trainer.fence import Fence

FILE = "metrics.jsonl"


class MetricsFile:
    """Appends lines to this attempt's own file.

    A new attempt writes the file anew, cut back to the step it resumes from, and renames it into place: an older
    attempt that is still alive keeps appending to a file that nobody sees any more.
    """

    def __init__(self, output: Path, *, first_step: int, fence: Fence) -> None:
        path = output / FILE
        draft = fence.draft(path)
        kept = [line for line in _lines(path) if line["step"] <= first_step]
        self._file = draft.open("w", encoding="utf-8")
        try:
            self._file.writelines(_encode(line) for line in kept)
            self._file.flush()
            fence.publish(draft, path)  # the open file goes with its name
        except BaseException:
            self._file.close()
            raise
        self.evaluations = [line for line in kept if line.get("event") == "eval"]

    def write(self, line: dict[str, Any]) -> None:
        """Append one line and hand it to the operating system, so that a killed process loses none.

        One that outlives the machine too costs a write to the disk; `sync` does that for all lines so far.
        """
        self._file.write(_encode(line))
        self._file.flush()
        if line.get("event") == "eval":
            self.evaluations.append(line)

    def sync(self) -> None:
        """Make the lines so far durable: a checkpoint may not outlive the lines of the steps that it stands for."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Make all lines durable and close the file; nothing can be written afterwards."""
        if self._file.closed:
            return
        try:
            self.sync()
        finally:
            self._file.close()


def _lines(path: Path) -> list[dict[str, Any]]:
    """Return the lines of earlier attempts, without what a machine that died left of its last ones."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    return [line for line in map(_decode, text.splitlines()) if line is not None]


def _decode(text: str) -> dict[str, Any] | None:
    try:
        line = json.loads(text)
    except ValueError:
        return None
    return line if isinstance(line, dict) and isinstance(line.get("step"), int) else None


def _encode(line: dict[str, Any]) -> str:
    finite = {k: (None if isinstance(v, float) and not math.isfinite(v) else v) for k, v in line.items()}
    return json.dumps(finite, allow_nan=False) + "\n"
