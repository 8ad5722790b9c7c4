"""The ranks of a run: who this one is, which device it owns, and the two ways it talks to the others."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

from finetune_trainer.heartbeat import Heartbeat
from finetune_trainer.train.first_contact import make_contact


@dataclass(frozen=True)
class World:
    """This process among its peers; a world of one needs no process group."""

    rank: int
    size: int
    local_rank: int
    device: torch.device
    control: dist.ProcessGroup | None = None
    heart: Heartbeat = field(default_factory=Heartbeat)
    """Beats before and after whatever all ranks do together: who has come so far waits, who has not is waited for."""

    @property
    def is_main(self) -> bool:
        """Whether this is the rank that writes metrics, manifests and the report."""
        return self.rank == 0

    def describe_device(self) -> str:
        """Return the device's kind, with its model where it is a GPU."""
        return torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else self.device.type

    def sum(self, values: list[float]) -> list[float]:
        """Return each value summed over all ranks, in double precision, without touching the device."""
        return self._reduce(values, dist.ReduceOp.SUM)

    def any(self, code: int) -> int:
        """Return the largest `code` any rank gave; every rank gets the same answer, and hears of the longest step."""
        largest, longest_step = self._reduce([float(code), self.heart.measured_step], dist.ReduceOp.MAX)
        self.heart.agree(longest_step)
        return int(largest)

    def broadcast(self, value: object) -> object:
        """Return rank 0's (picklable) value on every rank."""
        if self.control is None:
            self.heart.beat()
            return value
        box = [value]
        with self._together():
            dist.broadcast_object_list(box, src=0, group=self.control)
        return box[0]

    def gather(self, value: object) -> list[object]:
        """Return every rank's (picklable) value, in rank order, on every rank."""
        if self.control is None:
            self.heart.beat()
            return [value]
        box: list[object] = [None] * self.size
        with self._together():
            dist.all_gather_object(box, value, group=self.control)
        return box

    def _reduce(self, values: list[float], operation: dist.ReduceOp.RedOpType) -> list[float]:
        if self.control is None:
            self.heart.beat()
            return values
        tensor = torch.tensor(values, dtype=torch.float64)
        with self._together():
            dist.all_reduce(tensor, op=operation, group=self.control)
        result: list[float] = tensor.tolist()
        return result

    @contextmanager
    def _together(self) -> Iterator[None]:
        self.heart.beat()
        yield
        self.heart.beat()


@contextmanager
def join_world(timeout_seconds: float, heart: Heartbeat, *, preflight: bool = False) -> Iterator[World]:
    """Join the ranks that torchrun started, and leave them at the end.

    With `preflight` they try an all-reduce first, and raise PreflightFailed for a node that does not take part.
    Decisions travel over a gloo group of their own, so that they never wait for the device or mix with its collectives.
    """
    rank, size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    local_rank = int(os.environ.get("LOCAL_RANK", "0"))
    device = torch.device("cuda", local_rank) if torch.cuda.is_available() else torch.device("cpu")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if "MASTER_ADDR" not in os.environ:
        yield World(rank, size, local_rank, device, heart=heart)
        return
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    timeout = timedelta(seconds=timeout_seconds)
    if preflight and size > 1:
        rate = make_contact(backend, device, timeout)
        if rank == 0:
            print(f"preflight: all-reduce over {size} ranks: {rate * 8 / 1e9:.2f} Gbit/s", flush=True)
    else:
        dist.init_process_group(backend, timeout=timeout)
    try:
        control = dist.new_group(backend="gloo", timeout=timeout) if size > 1 else None
        yield World(rank, size, local_rank, device, control, heart)
    finally:
        dist.destroy_process_group()


def sum_gradients(parameters: list[Tensor], *, bucket_bytes: int = 25 << 20) -> None:
    """Replace each parameter's gradient by its sum over all ranks, in buckets whose layout never changes.

    DistributedDataParallel lays its buckets out anew after the first step, which changes the order of additions with
    three ranks or more; a fixed layout keeps a resumed run bit-identical to an uninterrupted one.
    """
    gradients = [p.grad for p in parameters if p.grad is not None]
    for bucket in _buckets(gradients, bucket_bytes):
        flat = torch.cat([gradient.reshape(-1) for gradient in bucket])
        dist.all_reduce(flat)
        pieces = torch.split(flat, [gradient.numel() for gradient in bucket])
        for gradient, piece in zip(bucket, pieces, strict=True):
            gradient.copy_(piece.view_as(gradient))


def _buckets(tensors: list[Tensor], limit: int) -> Iterator[list[Tensor]]:
    bucket: list[Tensor] = []
    size = 0
    for tensor in tensors:
        if bucket and (size + tensor.nbytes > limit or tensor.dtype != bucket[0].dtype):
            yield bucket
            bucket, size = [], 0
        bucket.append(tensor)
        size += tensor.nbytes
    if bucket:
        yield bucket
