"""What is settled about an output before anything is started on it: whose it is, and whether its run is over."""

import errno
import json
import os
import uuid
from pathlib import Path
from typing import Any

from finetune_api.errors import ConfigInvalid, Retryable, RunError
from finetune_api.outcomes import Outcome, TerminationMessage
from finetune_trainer.checkpoint.claims import read_claims, refuse_other_jobs
from finetune_trainer.disk_errors import DISK_FULL, PASSING

ALREADY_COMPLETE = "AlreadyComplete"
"""Reason of a success that trained nothing, because an earlier one of the same job had finished."""

_SUMMARY = "run.json"
_OVERWRITTEN = ("checkpoints", "model", _SUMMARY)
"""What a run would take for its own, or put its own in the place of."""


def check_output(output: Path, *, uid: str, attempt: int, resume_from: str | None) -> TerminationMessage | None:
    """Return the last words of a run that is over already, or None when attempt `attempt` of job `uid` may begin.

    Raises ConfigInvalid when the output is another job's or cannot be written, Retryable when its volume is full, has
    become read-only or answers with errors that may pass.
    """
    try:
        return _checked(output, uid, attempt, resume_from)
    except OSError as error:
        known = volume_error(error, str(output), "output")
        if known is None:
            raise
        raise known from error


def volume_error(error: OSError, place: str, what: str) -> RunError | None:
    """Return what an error of a volume means for the attempt; None for one that nobody foresaw.

    `what` lies there, at `place` where the error names no path itself.
    """
    if error.errno in DISK_FULL:
        return Retryable(f"{what}: the disk of {place} is full", hint="Make room on the volume.")
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        text = f"{what}: {error.filename or place} cannot be a directory ({error.strerror})"
        return ConfigInvalid(text, hint="A part of its path is a file; choose another path.")
    if error.errno in PASSING:
        text = f"{what}: {error.filename or place} cannot be used now ({error.strerror})"
        return Retryable(text, hint="Is the volume mounted and writable, and is its server well?")
    return None


def _checked(output: Path, uid: str, attempt: int, resume_from: str | None) -> TerminationMessage | None:
    over = finished(output, uid, attempt)
    if over is not None:
        return over
    _require_writable(output)
    held = read_claims(output)
    refuse_other_jobs(output, held, uid, resume_from)
    if not held:
        _refuse_strange_results(output)
    return None


def finished(output: Path, uid: str, attempt: int) -> TerminationMessage | None:
    """Return last words when attempt `attempt`, or a later one, of this very job has finished here.

    A job restored from a backup without its status counts its attempts from 0 again. A later number than the finished
    one means that somebody wants to go on.
    """
    summary = _read_summary(output)
    outcome = summary.get("outcome")
    if not isinstance(outcome, dict) or outcome.get("outcome") != Outcome.SUCCEEDED:
        return None
    last = summary.get("attempt")
    if summary.get("job_uid") != uid or not isinstance(last, int) or attempt > last:
        return None
    step = outcome.get("step")
    return TerminationMessage(
        outcome=Outcome.SUCCEEDED,
        reason=ALREADY_COMPLETE,
        message=f"{output} holds the finished run of this job, of attempt {last}; nothing is trained again",
        step=step if isinstance(step, int) else None,
    )


def _read_summary(output: Path) -> dict[str, Any]:
    try:
        summary = json.loads((output / _SUMMARY).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return summary if isinstance(summary, dict) else {}


def _refuse_strange_results(output: Path) -> None:
    """Without any claim, results here are not of this trainer's making, or somebody has removed its traces."""
    found = [name for name in _OVERWRITTEN if (output / name).exists()]
    if found:
        raise ConfigInvalid(
            f"output: {output} holds {' and '.join(found)} already, which no job has claimed",
            hint="Choose an empty output, or another subPath of the volume.",
        )


def _require_writable(output: Path) -> None:
    probe = output / f".writable-{uuid.uuid4().hex}"
    try:
        output.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM):
            who = f"user {os.geteuid()} with groups {', '.join(map(str, sorted({os.getegid(), *os.getgroups()})))}"
            raise ConfigInvalid(
                f"output: {output} cannot be written by {who} ({error.strerror})",
                hint="Let the volume's driver apply fsGroup, or make its directory writable for one of these groups.",
            ) from error
        raise
