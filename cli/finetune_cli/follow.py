"""Reading files as they grow."""

import json
from pathlib import Path
from typing import Any


class Tail:
    """The lines of a file that grows; a line is given once it is complete."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = 0
        self._rest = b""

    def lines(self) -> list[str]:
        """The lines completed since the last call; none while the file does not exist."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._position)
                data = file.read()
        except OSError:
            return []
        self._position += len(data)
        *complete, self._rest = (self._rest + data).split(b"\n")
        return [line.decode(errors="replace").rstrip("\r") for line in complete]

    def last(self) -> list[str]:
        """As `lines`, and what was left without a line end; for a file that grows no more."""
        lines = self.lines()
        rest, self._rest = self._rest, b""
        return [*lines, rest.decode(errors="replace")] if rest else lines


def parse_event(line: str) -> dict[str, Any] | None:
    """A progress event, or None for a line that is not one."""
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "event" in event else None
