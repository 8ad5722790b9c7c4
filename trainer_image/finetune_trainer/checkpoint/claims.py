"""Attempts claim an output directory by number; whoever holds the highest claim owns what comes next.

A claim is a file made by an exclusive create, so two processes can never hold the same number, and a process that was
cut off while a newer attempt took over finds out at its next commit.
"""

import json
import os
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from uuid import uuid4

from finetune_api.errors import ConfigInvalid, Retryable, Superseded
from finetune_trainer.directories import sync

DIRECTORY = "attempts"
_NAME = re.compile(r"\d+\.json")


@dataclass(frozen=True)
class Claim:
    """Attempt `attempt` of the job with uid `uid`, which resumes from the checkpoint directory named `base`."""

    attempt: int
    uid: str
    base: str | None
    decided: bool = True
    """Whether `base` is settled; until then readers act as if the claim were not there, for it has saved nothing."""


def read_claims(output: Path) -> list[Claim]:
    """Return all claims of an output directory, newest first; raises Retryable for one that cannot be read."""
    files = [file for file in (output / DIRECTORY).glob("*.json") if _NAME.fullmatch(file.name)]
    return [_read(file) for file in sorted(files, key=lambda file: int(file.stem), reverse=True)]


def claim(output: Path, wanted: Claim, *, resume_from: str | None = None) -> Claim:
    """Create the claim and return it.

    Raises ConfigInvalid when the output belongs to another job that `resume_from` does not name, Superseded when the
    number is taken or a higher one exists.
    """
    held = read_claims(output)
    refuse_other_jobs(output, held, wanted.uid, resume_from)
    if held and held[0].attempt >= wanted.attempt:
        raise Superseded(f"attempt {wanted.attempt} comes too late: {output} is claimed by attempt {held[0].attempt}")
    path = _path(output, wanted)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = _written(path, wanted)
    try:
        os.link(draft, path)  # exclusive
    except FileExistsError:
        raise Superseded(f"attempt {wanted.attempt} has been claimed by another process on {output}") from None
    finally:
        draft.unlink()
    sync(path.parent)
    return wanted


def decide(output: Path, own: Claim, base: str | None) -> Claim:
    """Settle, once, what the holder of a claim resumes from, and return its claim."""
    decided = replace(own, base=base, decided=True)
    path = _path(output, own)
    _written(path, decided).replace(path)
    sync(path.parent)
    return decided


def require_newest(output: Path, own: Claim) -> None:
    """Raise Superseded when a newer attempt has claimed the output, so that nothing of this one is committed.

    Raises Retryable when there is no claim any more, not even the own one.
    """
    held = read_claims(output)
    if not held:
        raise Retryable(
            f"claims: {output / DIRECTORY} is empty or gone, so nobody can tell whose the output is",
            hint="Somebody has removed it, or the volume is not what it was.",
        )
    newest = held[0]
    if newest.attempt > own.attempt:
        raise Superseded(f"attempt {newest.attempt} has taken over {output}; attempt {own.attempt} leaves it alone")


def inherited_attempts(held: list[Claim], uid: str) -> int:
    """Return what is added to the attempts of job `uid`, which count from 0, so that they follow those it continues."""
    return 1 + max((other.attempt for other in held if other.uid != uid), default=-1)


def claimed_attempt(output: Path, uid: str) -> int | None:
    """Return the newest attempt of job `uid` that has claimed the output, as the job counts them; None without one."""
    held = read_claims(output)
    own = [found.attempt for found in held if found.uid == uid]
    return max(own) - inherited_attempts(held, uid) if own else None


def refuse_late_attempts(output: Path, uid: str, attempt: int) -> None:
    """Raise Superseded when attempt `attempt` of job `uid`, or a later one, has claimed the output already."""
    claimed = claimed_attempt(output, uid)
    if claimed is not None and claimed >= attempt:
        raise Superseded(f"attempt {attempt} comes too late: {output} is claimed by attempt {claimed} of the same job")


def refuse_other_jobs(output: Path, held: list[Claim], uid: str, resume_from: str | None) -> None:
    """Raise ConfigInvalid when the output was claimed by a job other than `uid` and `resume_from`."""
    strangers = {other.uid for other in held} - {uid, resume_from}
    # A job that once resumed from another carries both uids in its history; its own newest claim settles it.
    if strangers and held[0].uid not in {uid, resume_from}:
        raise ConfigInvalid(
            f"output: {output} holds the results of another job (uid {held[0].uid})",
            hint="Choose an empty output, or name that job in resumeFrom to continue from it.",
        )


def _path(output: Path, own: Claim) -> Path:
    return output / DIRECTORY / f"{own.attempt}.json"


def _read(file: Path) -> Claim:
    try:
        return Claim(**json.loads(file.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise Retryable(
            f"claim {file} cannot be read: {error}",
            hint="It says whose the output is; restore it, or continue in another output.",
        ) from error


def _written(path: Path, content: Claim) -> Path:
    """Write a claim whole under another name, so that a reader never sees one without its content."""
    # The name is random because process ids of two containers may be equal.
    draft = path.with_suffix(f".{uuid4().hex}.draft")
    with draft.open("w") as file:
        json.dump(asdict(content), file)
        file.flush()
        os.fsync(file.fileno())
    return draft
