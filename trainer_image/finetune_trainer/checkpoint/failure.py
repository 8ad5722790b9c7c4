"""Why something could not be written or read, as the operating system told it, through the libraries between."""

import re
from dataclasses import dataclass
from pathlib import Path

from torch.distributed.checkpoint.api import CheckpointException

from finetune_api.errors import Retryable
from finetune_trainer.disk_errors import DISK_FULL


class DiskFull(Retryable):
    """There was no room left for a checkpoint."""


@dataclass(frozen=True)
class Failure:
    """What failed on one rank; it can be told to the others."""

    words: str
    disk_full: bool = False

    @classmethod
    def of(cls, error: BaseException) -> "Failure":
        """Return the first underlying reason of a failed save, export or load."""
        if isinstance(error, CheckpointException):
            return next(cls.of(wrapped[0]) for wrapped in error.failures.values())
        number = error.errno if isinstance(error, OSError) else _rust_errno(error)
        if number in DISK_FULL:
            keys = "save_num_checkpoints_to_keep or save_max_bytes"
            return cls(f"the disk is full (free space, or keep fewer checkpoints with {keys})", disk_full=True)
        if "PytorchStreamWriter" in str(error) or "unexpected pos" in str(error):  # and not how it came to that
            return cls("the disk is full or the volume went away while writing")
        return cls(f"{type(error).__name__}: {error}")


def not_saved(directory: Path, *failures: Failure) -> Retryable:
    """Return the error of a checkpoint that could not be saved, in the words of the first failure."""
    kind = DiskFull if any(failure.disk_full for failure in failures) else Retryable
    return kind(f"checkpoint {directory} could not be saved: {failures[0].words}")


def _rust_errno(error: BaseException) -> int | None:
    # safetensors tells the operating system's error in words only.
    found = re.search(r"\(os error (\d+)\)", str(error))
    return int(found[1]) if found else None
