"""Attempts claim an output directory by number; whoever holds the highest claim owns what comes next.

A claim is a file made by an exclusive create, so two processes can never hold the same number, and a process that was
cut off while a newer attempt took over finds out at its next commit.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import uuid4

from finetune_api.errors import ConfigInvalid, Retryable

DIRECTORY = "attempts"


@dataclass(frozen=True)
class Claim:
    """Attempt `attempt` of the job with uid `uid`, which resumes from the checkpoint directory named `base`."""

    attempt: int
    uid: str
    base: str | None


def read_claims(output: Path) -> list[Claim]:
    """Return all claims of an output directory, newest first."""
    files = sorted((output / DIRECTORY).glob("*.json"), key=lambda file: int(file.stem), reverse=True)
    return [Claim(**json.loads(file.read_text())) for file in files]


def claim(output: Path, wanted: Claim, *, resume_from: str | None = None) -> Claim:
    """Create the claim and return it.

    Raises ConfigInvalid when the output belongs to another job that `resume_from` does not name, Retryable when the
    number is taken or a higher one exists.
    """
    held = read_claims(output)
    refuse_other_jobs(output, held, wanted.uid, resume_from)
    if held and held[0].attempt >= wanted.attempt:
        raise Retryable(f"attempt {wanted.attempt} comes too late: {output} is claimed by attempt {held[0].attempt}")
    path = output / DIRECTORY / f"{wanted.attempt}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    # Written whole under another name first: a reader never sees a claim without its content. link() is exclusive.
    # The name is random because process ids of two containers may be equal.
    draft = path.with_suffix(f".{uuid4().hex}.draft")
    draft.write_text(json.dumps(asdict(wanted)))
    try:
        os.link(draft, path)
    except FileExistsError:
        raise Retryable(f"attempt {wanted.attempt} has been claimed by another process on {output}") from None
    finally:
        draft.unlink()
    return wanted


def require_newest(output: Path, own: Claim) -> None:
    """Raise Retryable when a newer attempt has claimed the output, so that nothing of this one is committed."""
    newest = read_claims(output)[0]
    if newest.attempt > own.attempt:
        raise Retryable(f"attempt {newest.attempt} has taken over {output}; attempt {own.attempt} leaves it alone")


def inherited_attempts(held: list[Claim], uid: str) -> int:
    """Return what is added to the attempts of job `uid`, which count from 0, so that they follow those it continues."""
    return 1 + max((other.attempt for other in held if other.uid != uid), default=-1)


def refuse_other_jobs(output: Path, held: list[Claim], uid: str, resume_from: str | None) -> None:
    """Raise ConfigInvalid when the output was claimed by a job other than `uid` and `resume_from`."""
    strangers = {other.uid for other in held} - {uid, resume_from}
    # A job that once resumed from another carries both uids in its history; its own newest claim settles it.
    if strangers and held[0].uid not in {uid, resume_from}:
        raise ConfigInvalid(
            f"output: {output} holds the results of another job (uid {held[0].uid})",
            hint="Choose an empty output, or name that job in resumeFrom to continue from it.",
        )
