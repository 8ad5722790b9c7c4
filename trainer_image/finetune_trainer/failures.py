"""What an exception that nobody expected means for the next attempt."""

import torch
import torch.distributed as dist

from finetune_api.causes import PEER_LOST
from finetune_api.outcomes import Outcome
from finetune_trainer.disk_errors import PASSING

# gloo and NCCL report a lost peer as plain RuntimeErrors, told apart by these words only.
_OF_LOST_PEERS = (
    "connection closed by peer",
    "connection reset by peer",
    "connection refused",
    "broken pipe",
    "timed out waiting",
    "watchdog caught collective operation timeout",
    "nccl communicator was aborted",
    "gloo",
)


def classified(error: BaseException) -> tuple[Outcome, str]:
    """Return the outcome and the message of an exception outside the trainer's own."""
    text = f"{type(error).__name__}: {str(error).strip() or 'no message'}"
    first = text.splitlines()[0]
    # On the CPU torch runs out of memory with a plain RuntimeError.
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or "DefaultCPUAllocator" in text:
        hint = "Lower device_train_microbatch_size or max_seq_len, or shard with fsdp_config."
        return Outcome.OUT_OF_MEMORY, f"{first} {hint}"
    broken = isinstance(error, RuntimeError | ConnectionError | TimeoutError)
    if broken and any(words in text.lower() for words in _OF_LOST_PEERS):
        return Outcome.RETRYABLE, f"{PEER_LOST}: {first}"
    if isinstance(error, dist.DistError | ConnectionError | TimeoutError):
        return Outcome.RETRYABLE, first
    if isinstance(error, OSError) and error.errno in PASSING:
        return Outcome.RETRYABLE, first
    return Outcome.CRASHED, first
