"""Which attempt comes next in an output directory, and under which name."""

import os
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path

from finetune_api.errors import ConfigInvalid, Problem
from finetune_trainer.checkpoint.claims import read_claims
from finetune_trainer.run_dir import RunDir

LOGS = "logs"
"""Run directories and logs of the attempts; the only part of an output that does not make it a used one."""


@dataclass(frozen=True)
class Attempt:
    """The next attempt: its number, the job it belongs to, and its own directory."""

    output: Path
    number: int
    job_uid: str
    resumes: bool
    """There is an earlier attempt to continue."""

    @property
    def directory(self) -> Path:
        """Where this attempt keeps its configuration, its run directories and its logs."""
        return self.output / LOGS / f"attempt-{self.number}"

    def run_dir(self, node: int | str) -> Path:
        """The run directory of one node."""
        return self.directory / f"node-{node}"


def next_attempt(output: Path, *, resume: bool, resume_from: str | None = None) -> Attempt:
    """Decide how an output directory is used; touches nothing.

    Resuming continues the job that holds the newest claim. Raises ConfigInvalid when the directory holds something
    and neither `resume` nor `resume_from` (another job's uid) says to go on with it.
    """
    if output.exists() and not output.is_dir():
        raise ConfigInvalid.of([Problem("--output", f"{output} is not a directory", "name another one")])
    claims = read_claims(output)
    if claims and resume:
        return Attempt(output, claims[0].attempt + 1, claims[0].uid, resumes=True)
    if claims and resume_from is not None:
        return Attempt(output, claims[0].attempt + 1, str(uuid.uuid4()), resumes=True)
    if not resume and resume_from is None and _is_used(output):
        hint = "continue what is there with --resume, or choose another directory with --output"
        raise ConfigInvalid.of([Problem("--output", f"{output} is not empty", hint)])
    return Attempt(output, 0, str(uuid.uuid4()), resumes=False)


def make_room(attempt: Attempt) -> None:
    """Create the attempt's directory, in the place of one whose attempt never claimed the output.

    Raises ConfigInvalid when that attempt is still running, or the directory cannot be written.
    """
    # Of every attempt: a run must not be taken over by accident while it is still alive.
    for pid_file in attempt.directory.parent.glob("attempt-*/node-*/pid.launcher"):
        if _runs(RunDir(pid_file.parent).read_pid("launcher")):
            hint = "wait for it, or choose another directory with --output"
            raise ConfigInvalid.of([Problem("--output", f"another run is using {attempt.output}", hint)])
    try:
        if attempt.directory.exists():
            shutil.rmtree(attempt.directory)
        attempt.directory.mkdir(parents=True)
    except OSError as error:
        raise ConfigInvalid.of([Problem("--output", f"cannot write to {attempt.output}: {error.strerror}")]) from None


def _is_used(output: Path) -> bool:
    if output.exists() and not output.is_dir():
        return True
    return output.is_dir() and any(e.name != LOGS and not e.name.startswith(".") for e in output.iterdir())


def _runs(pid: int | None) -> bool:
    if pid is None:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
