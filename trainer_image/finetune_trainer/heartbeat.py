"""The heartbeat of a rank: which point of the common program it has passed last, for whoever watches it.

One small record in a file that is mapped into memory: a beat costs a microsecond and no system call, so the training
loop can afford one at every microbatch. A checksum tells a reader that it met the record half written.
"""

import mmap
import struct
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

HeartPhase = Literal["import", "prepare", "load", "first_step", "step", "save", "eval", "export", "report", "done"]
PHASES: Final[tuple[HeartPhase, ...]] = (
    "import", "prepare", "load", "first_step", "step", "save", "eval", "export", "report", "done"
)  # fmt: skip

_RECORD = struct.Struct("<QqQQdddB")
_CHECKSUM = struct.Struct("<I")
_BYTES = _RECORD.size + _CHECKSUM.size
_TRIES = 100
"""A writer is within the record for a microsecond; one that was stopped there is read as silent."""


@dataclass(frozen=True)
class Beat:
    """What a rank said last."""

    beats: int
    """Points of the common program passed: every rank passes the same ones, so the lowest number is behind."""
    step: int
    """Optimizer steps finished."""
    since_ns: int
    """Monotonic time at which the phase, or the step, began."""
    at_ns: int
    """Monotonic time of the last beat."""
    longest_step: float
    """Seconds, of this attempt's steps after its first, as the ranks have agreed; 0 while none was measured."""
    longest_save: float
    """Seconds, of this attempt; 0 while none was measured."""
    patience: float
    """Seconds for which the ranks wait for each other (`dist_timeout`); 0 for a rank that has no peers."""
    phase: HeartPhase


class Heartbeat:
    """Beats for nobody: of a rank that is not watched. `HeartbeatFile` is the one that can be read."""

    def __init__(self) -> None:
        self._beats = 0
        self._step = 0
        self._phase: HeartPhase = "import"
        self._since_ns = time.monotonic_ns()
        self.measured_step = 0.0
        self.longest_step = 0.0
        self.longest_save = 0.0
        self.patience = 0.0

    def beat(self) -> None:
        """Say that a point was passed that every rank passes."""
        self._beats += 1
        self._tell()

    def touch(self) -> None:
        """Give a sign of life at a point that the other ranks may not pass: it does not count."""
        self._tell()

    def agree(self, longest_step: float) -> None:
        """Hear the longest step that any rank has measured, so that the watchers of all nodes have one bound."""
        self.longest_step = longest_step
        self.touch()

    def enter(self, phase: HeartPhase) -> None:
        """Begin a phase, or the next step."""
        self._phase, self._since_ns = phase, time.monotonic_ns()
        self.beat()

    def finish_step(self, done: int) -> float:
        """End the step under way, of which there are `done` now; return the seconds since it began."""
        seconds = self._seconds()
        if self._phase == "step":  # the first one of an attempt allocates, compiles and reads for the first time
            self.measured_step = max(self.measured_step, seconds)
        self._step = done
        self.beat()
        return seconds

    def finish_save(self) -> float:
        """End the save under way; return the seconds since it began."""
        seconds = self._seconds()
        self.longest_save = max(self.longest_save, seconds)
        self.beat()
        return seconds

    def resume_after(self, step: int) -> None:
        """Say how many steps are done already."""
        self._step = step
        self.beat()

    def _seconds(self) -> float:
        return (time.monotonic_ns() - self._since_ns) / 1e9

    def _tell(self) -> None:
        """Let the watcher know; nobody watches here."""


class HeartbeatFile(Heartbeat):
    """Beats into a file, which the launcher of the same machine reads."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        # Written once, so that the page exists: a mapped file must not find out later that the disk is full.
        path.write_bytes(self._record())
        with path.open("r+b") as file:
            self._page = mmap.mmap(file.fileno(), _BYTES)

    def _tell(self) -> None:
        self._page[:] = self._record()

    def _record(self) -> bytes:
        body = _RECORD.pack(
            self._beats,
            self._step,
            self._since_ns,
            time.monotonic_ns(),
            self.longest_step,
            self.longest_save,
            self.patience,
            PHASES.index(self._phase),
        )
        return body + _CHECKSUM.pack(zlib.crc32(body))


def read_beat(path: Path) -> Beat | None:
    """Return what a rank said last; None when it has said nothing, or was stopped in the midst of a word."""
    for _ in range(_TRIES):
        try:
            raw = path.read_bytes()
        except OSError:
            return None
        body, checksum = raw[: _RECORD.size], raw[_RECORD.size :]
        if len(raw) == _BYTES and _CHECKSUM.unpack(checksum)[0] == zlib.crc32(body):
            beats, step, since_ns, at_ns, longest_step, longest_save, patience, phase = _RECORD.unpack(body)
            return Beat(beats, step, since_ns, at_ns, longest_step, longest_save, patience, PHASES[phase])
    return None
