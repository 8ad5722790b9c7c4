"""What an exception that nobody expected means for the next attempt."""

import errno

import pytest
import torch
import torch.distributed as dist

from finetune_api.outcomes import Outcome
from finetune_trainer.failures import classified


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), Outcome.OUT_OF_MEMORY),
        (MemoryError(), Outcome.OUT_OF_MEMORY),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate"),
            Outcome.OUT_OF_MEMORY,
        ),
        (dist.DistBackendError("NCCL error"), Outcome.RETRYABLE),
        (dist.DistNetworkError("The client socket has failed to connect"), Outcome.RETRYABLE),
        (dist.DistStoreError("wait timeout after 600000ms"), Outcome.RETRYABLE),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), Outcome.RETRYABLE),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), Outcome.RETRYABLE),
        (TimeoutError("no prepared data"), Outcome.RETRYABLE),
        (RuntimeError("[gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:1"), Outcome.RETRYABLE),
        (RuntimeError("[../gloo/buffer.cc:81] Timed out waiting 600000ms for recv operation"), Outcome.RETRYABLE),
        (RuntimeError("Watchdog caught collective operation timeout"), Outcome.RETRYABLE),
        (OSError(errno.ENOSPC, "No space left on device"), Outcome.RETRYABLE),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), Outcome.RETRYABLE),
        (OSError(errno.EIO, "Input/output error"), Outcome.RETRYABLE),
        (OSError(errno.ESTALE, "Stale file handle"), Outcome.RETRYABLE),
        (OSError(errno.EROFS, "Read-only file system"), Outcome.RETRYABLE),
        (OSError(errno.ENOENT, "No such file or directory"), Outcome.CRASHED),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied (3x4 and 5x6)"), Outcome.CRASHED),
        (ValueError("connection refused"), Outcome.CRASHED),  # the words count only in what gloo and NCCL raise
        (KeyError("x"), Outcome.CRASHED),
        (AssertionError(), Outcome.CRASHED),
        (KeyboardInterrupt(), Outcome.CRASHED),
    ],
    ids=lambda value: value.value if isinstance(value, Outcome) else type(value).__name__,
)
def test_an_unexpected_error_has_the_outcome_of_its_kind(error: BaseException, outcome: Outcome) -> None:
    found, message = classified(error)
    assert found is outcome
    assert type(error).__name__ in message


def test_the_message_is_one_line_without_an_empty_end() -> None:
    assert classified(ValueError("first line\nsecond line"))[1] == "ValueError: first line"
    assert classified(AssertionError())[1] == "AssertionError: no message"


def test_memory_that_ran_out_is_told_with_what_to_do() -> None:
    assert classified(MemoryError("128 GiB"))[1].endswith(
        "Lower device_train_microbatch_size or max_seq_len, or shard with fsdp_config."
    )


def test_a_lost_peer_is_called_one() -> None:
    for error in (RuntimeError("Connection reset by peer"), ConnectionResetError("Connection reset by peer")):
        assert classified(error)[1].startswith("lost a peer: ")
