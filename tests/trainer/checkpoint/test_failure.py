"""Why something could not be written, as it is told."""

import errno
from pathlib import Path

import pytest
from torch.distributed.checkpoint.api import CheckpointException

from finetune_api.errors import Retryable
from finetune_trainer.checkpoint.failure import DiskFull, Failure, not_saved

FULL = "the disk is full (free space"


@pytest.mark.parametrize(
    ("error", "words", "full"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), FULL, True),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), FULL, True),
        (RuntimeError("Error while serializing: I/O error: No space left (os error 28)"), FULL, True),
        (
            RuntimeError("[enforce fail at inline_container.cc:664] . unexpected pos 64 vs 0"),
            "the disk is full or",
            False,
        ),
        (PermissionError(13, "Permission denied"), "PermissionError: [Errno 13] Permission denied", False),
        (CheckpointException("save", {1: (OSError(28, "full"), None)}), FULL, True),  # type: ignore[dict-item]
    ],
)
def test_a_failure_is_told_by_its_first_reason(error: BaseException, words: str, full: bool) -> None:
    failure = Failure.of(error)
    assert failure.words.startswith(words)
    assert failure.disk_full is full


@pytest.mark.parametrize(("full", "kind"), [((False, True), DiskFull), ((False, False), Retryable)])
def test_one_full_disk_is_enough_and_the_first_failure_is_told(full: tuple[bool, ...], kind: type[Retryable]) -> None:
    error = not_saved(Path("step"), *(Failure(f"rank {rank}", one) for rank, one in enumerate(full)))
    assert type(error) is kind
    assert str(error) == "checkpoint step could not be saved: rank 0"
