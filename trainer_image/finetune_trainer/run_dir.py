"""The files through which the launcher, the preparation and the ranks of one node speak to each other.

A run directory is private to one node and one attempt, so nothing in it is ever stale. Every file is either
appended to in single writes (`progress.jsonl`), or written aside and renamed, so nobody reads half of one; heartbeats
and stacks have readers of their own that know better.
"""

import json
import math
import os
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from finetune_api.outcomes import Outcome, TerminationMessage, exit_code
from finetune_trainer.heartbeat import read_beat
from finetune_trainer.rank_outcome import RankOutcome, parse_outcome

Phase = Literal["import", "prepare", "load", "train", "eval", "save", "export", "done"]

PREPARE = "prepare"
"""The name under which the preparation, which has no rank, leaves its outcome."""

PROGRESS_LINE_BYTES = 4000
"""Below PIPE_BUF and a page, so that lines of several processes never mix."""

_POLL_SECONDS = 0.02


@dataclass(frozen=True)
class Prepared:
    """Where the prepared data of this run lies, and its content hash."""

    directory: Path
    sha256: str


class RunDir:
    """Reads and writes the files of one run directory; cheap to construct, touches nothing until asked."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(self) -> None:
        """Make the directory and its parents if they are missing."""
        self.path.mkdir(parents=True, exist_ok=True)

    @property
    def progress_file(self) -> Path:
        """`progress.jsonl`: what the command-line interface follows."""
        return self.path / "progress.jsonl"

    def progress(self, event: Mapping[str, Any]) -> None:
        """Append one event as a JSON line in a single write; a text too long for one line is cut."""
        line = _progress_line(event)
        descriptor = os.open(self.progress_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(descriptor, line)
        finally:
            os.close(descriptor)

    def phase(self, phase: Phase) -> None:
        """Say that this process has entered a phase, with the wall-clock time."""
        self.progress({"event": "phase", "phase": phase, "time": time.time()})

    def message(self, text: str, level: Literal["info", "warning"] = "info") -> None:
        """Leave a sentence for the person who watches the run."""
        self.progress({"event": "message", "text": text, "level": level})

    def register_rank(self, rank: int) -> None:
        """Tell the launcher this rank's process id; call it first, once signals are handled."""
        self.write_pid(str(rank), os.getpid())

    def write_pid(self, name: str, pid: int) -> None:
        """Write `pid.<name>`; names that are not numbers belong to the launcher's own processes."""
        write_atomically(self.path / f"pid.{name}", str(pid))

    def read_pid(self, name: str) -> int | None:
        """The process id left in `pid.<name>`, if there is one yet."""
        text = _read_text(self.path / f"pid.{name}")
        return int(text) if text and text.strip().isdigit() else None

    def rank_pids(self) -> dict[int, int]:
        """The process ids of the ranks that have registered so far, by rank."""
        names = (entry.name.removeprefix("pid.") for entry in self.path.glob("pid.*"))
        pids = {int(name): self.read_pid(name) for name in names if name.isdigit()}
        return {rank: pid for rank, pid in sorted(pids.items()) if pid is not None}

    def heartbeat_file(self, rank: int) -> Path:
        """Where a rank says what it is doing; see `heartbeat`."""
        return self.path / f"heartbeat.{rank}"

    def stack_file(self, rank: int) -> Path:
        """Where a rank writes its stack when it is asked; see `stack_dump`."""
        return self.path / f"stack.{rank}"

    def read_stack(self, rank: int) -> str:
        """The stacks that a rank wrote so far."""
        return _read_text(self.stack_file(rank)) or ""

    def write_outcome(
        self,
        outcome: Outcome,
        message: str,
        *,
        rank: int | None,
        step: int | None = None,
        reason: str | None = None,
        traceback: str | None = None,
    ) -> int:
        """Leave this process's outcome, atomically, and return the exit code it must leave with.

        `rank` None stands for the preparation. A process calls this once, whatever happens, success included.
        """
        code = exit_code(outcome)
        record = {
            "outcome": outcome.value,
            "reason": reason or outcome.value,
            "message": message,
            "rank": rank,
            "step": step,
            "exitCode": code,
            "traceback": traceback,
            "monotonicNs": time.monotonic_ns(),
            "pid": os.getpid(),
        }
        name = PREPARE if rank is None else str(rank)
        try:
            write_atomically(self.path / f"outcome.{name}.json", json.dumps(record))
        except OSError as error:  # a full disk must not hide the outcome: the exit code still tells it
            print(f"cannot record the outcome {outcome.value} ({message}): {error}", file=sys.stderr)
        return code

    def read_outcome(self, name: str) -> RankOutcome | None:
        """The outcome left by a rank (its number) or by `PREPARE`; None without one, or with a damaged one."""
        return parse_outcome(_parse_object(_read_text(self.path / f"outcome.{name}.json")))

    def await_peers(self) -> None:
        """Return when every other rank that registered here has left its outcome, or says that it is done.

        torchrun ends the other ranks 30 s after the first one has left with a code other than 0, whatever they are
        doing. So ranks that were asked to leave do so together. A rank that dies without an outcome has the launcher
        kill this one, and the launcher bounds the whole.
        """
        while any(self._is_at_work(rank, pid) for rank, pid in self.rank_pids().items()):
            time.sleep(_POLL_SECONDS)

    def _is_at_work(self, rank: int, pid: int) -> bool:
        if pid == os.getpid() or self.read_outcome(str(rank)) is not None:
            return False
        beat = read_beat(self.heartbeat_file(rank))
        return beat is None or beat.phase != "done"  # a full disk may have kept its outcome from being written

    def write_prepared(self, directory: Path, sha256: str) -> None:
        """Announce the prepared data; ranks that wait for it go on."""
        write_atomically(self.path / "prepared.json", json.dumps({"directory": str(directory), "sha256": sha256}))

    def read_prepared(self) -> Prepared | None:
        """Where the prepared data lies, once it has been announced."""
        return read_prepared(self.path / "prepared.json")

    def wait_prepared(self, timeout: float, *, stopped: Callable[[], bool] = lambda: False) -> Path | None:
        """Wait for the prepared data and return its directory; None when `stopped()` became true first.

        Data that is there is returned whatever `stopped()` says: peers that have seen it wait for this rank elsewhere.
        The launcher ends the ranks when the preparation fails, so `timeout` (seconds) is only a last resort. Raises
        `TimeoutError` when it passes.
        """
        deadline = time.monotonic() + timeout
        while True:
            leaving = stopped()  # asked first, so that who leaves has seen that there was no data by then
            prepared = self.read_prepared()
            if prepared is not None:
                return prepared.directory
            if leaving:
                return None
            if time.monotonic() > deadline:
                raise TimeoutError(f"no prepared data was announced in {self.path} within {timeout:g} s")
            time.sleep(_POLL_SECONDS)

    def write_preflight(self, found: Mapping[str, object]) -> None:
        """Leave what the preflight found, this node's suspects included."""
        write_atomically(self.path / "preflight.json", json.dumps(_finite(found)))

    def read_preflight(self) -> dict[str, Any]:
        """What the preflight found; empty when there was none."""
        return _parse_object(_read_text(self.path / "preflight.json")) or {}

    def write_termination(
        self, message: TerminationMessage, facts: Mapping[str, object] = MappingProxyType({})
    ) -> None:
        """Leave the final word of this node's launcher, with `facts` beside it."""
        write_atomically(self.path / "termination.json", message.to_json(facts))

    def read_termination(self) -> TerminationMessage | None:
        """The final word of this node's launcher, if it could leave one."""
        text = _read_text(self.path / "termination.json")
        return TerminationMessage.parse(text) if text else None


def read_prepared(path: Path) -> Prepared | None:
    """Read an announcement of prepared data; None when it is missing or not one."""
    record = _parse_object(_read_text(path))
    if record is None or not isinstance(record.get("directory"), str):
        return None
    return Prepared(Path(record["directory"]), str(record.get("sha256", "")))


def write_atomically(path: Path, text: str) -> None:
    """Write a text file so that readers see either the old or the whole new content."""
    # Random, because process ids of two containers may be equal.
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)


def _progress_line(event: Mapping[str, Any]) -> bytes:
    line = (json.dumps(_finite(event), separators=(",", ":")) + "\n").encode()
    if len(line) <= PROGRESS_LINE_BYTES:
        return line
    short = {k: v for k, v in event.items() if not isinstance(v, str | list | dict)}
    short |= {k: v[:500] for k, v in event.items() if isinstance(v, str)}
    return (json.dumps(_finite(short), separators=(",", ":")) + "\n").encode()


def _finite(value: Any) -> Any:
    """JSON knows neither NaN nor infinities: they become null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def _parse_object(text: str | None) -> dict[str, Any] | None:
    try:
        record = json.loads(text or "")
    except json.JSONDecodeError:
        return None
    return record if isinstance(record, dict) else None


def _read_text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
