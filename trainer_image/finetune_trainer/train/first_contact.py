"""The ranks' first all-reduce, with a short patience of its own: whoever does not take part is named.

The launchers have met over plain sockets; this goes where training will go, over gloo or NCCL on the network interface
that these choose, which may be another one.
"""

import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import torch
import torch.distributed as dist
from torch._C._distributed_c10d import PrefixStore, Store, TCPStore
from torch.distributed.rendezvous import rendezvous

from finetune_api.errors import PreflightFailed

CPU_SECONDS: Final = 20.0
CUDA_SECONDS: Final = 60.0
CUDA_SECONDS_PER_RANK: Final = 0.5
"""Starting NCCL on cold GPUs takes tens of seconds, and more with every rank."""
_RECORDS_SECONDS: Final = 3.0
"""How long the others may then take to say how it went for them."""
_POLL_SECONDS: Final = 0.05
_ELEMENTS: Final = 1 << 20


@dataclass(frozen=True)
class Place:
    """Where a rank is."""

    rank: int
    size: int
    ranks_per_node: int
    host: str = ""

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] = os.environ) -> "Place":
        """Read what torchrun tells."""
        size = int(environment["WORLD_SIZE"])
        local = int(environment.get("LOCAL_WORLD_SIZE", "1"))
        return cls(int(environment["RANK"]), size, local, os.uname().nodename)

    def node_of(self, rank: int) -> int:
        """Return the node of a rank."""
        return rank // self.ranks_per_node


class Records:
    """What every rank says about how it went, over a connection of its own to torchrun's store."""

    def __init__(self, store: Store, place: Place) -> None:
        self._store = store
        self._place = place

    def gather(self, seconds: float) -> None:
        """Say that this rank is here, and wait until all are; raises dist.DistStoreError when some are not."""
        self._store.set(f"here/{self._place.rank}", self._place.host)
        everybody = [f"here/{rank}" for rank in range(self._place.size)]
        self._store.wait(everybody, timedelta(seconds=seconds))

    def tell(self, error: str = "") -> None:
        """Say how it went; the first one to fail says so first, by nobody's clock."""
        turn = self._store.add("turns", 1) if error else 0
        self._store.set(f"went/{self._place.rank}", f"{turn} {error}")

    def read(self, deadline: float) -> dict[int, tuple[int, str]]:
        """Return what the ranks have said by `deadline` (monotonic seconds): a turn, 0 for success, and an error."""
        while not self._store.check([f"went/{rank}" for rank in range(self._place.size)]):
            if time.monotonic() > deadline:
                break
            time.sleep(_POLL_SECONDS)
        told = [rank for rank in range(self._place.size) if self._store.check([f"went/{rank}"])]
        return {rank: _parsed(_text(self._store.get(f"went/{rank}"))) for rank in told}

    def host(self, rank: int) -> str:
        """Return the name of the machine, or pod, of a rank."""
        return _text(self._store.get(f"here/{rank}"))


def patience_for(device: torch.device, size: int) -> float:
    """Return the seconds for the whole of it, once all ranks are there."""
    return CUDA_SECONDS + CUDA_SECONDS_PER_RANK * size if device.type == "cuda" else CPU_SECONDS


def make_contact(backend: str, device: torch.device, timeout: timedelta, patience: float | None = None) -> float:
    """Start the default process group and do a first all-reduce; return its bytes per second on each rank's link.

    `timeout` is the group's own, afterwards. Raises PreflightFailed, naming nodes, when it takes longer than `patience`
    seconds, unset `patience_for` this device and so many ranks, or fails.
    """
    place = Place.of_environment()
    store, rank, size = next(iter(rendezvous("env://", timeout=timeout)))
    records = Records(PrefixStore("first-contact", _own_connection(timeout)), place)
    # Ranks come here when they see the prepared data, which takes its time on a volume of another machine.
    records.gather(timeout.total_seconds())
    patience = patience_for(device, size) if patience is None else patience
    began = time.monotonic()
    rates: list[float] = []

    def contact() -> None:
        if device.type == "cuda":
            torch.cuda.set_device(device)
        dist.init_process_group(
            backend,
            store=store,
            rank=rank,
            world_size=size,
            timeout=timedelta(seconds=patience + 10 * _RECORDS_SECONDS),
        )
        rates.append(_all_reduce(device, size))

    error = _within(patience, contact)
    if error is not None:
        raise _failure(error, records, place, began + patience + _RECORDS_SECONDS)
    records.tell()
    dist.distributed_c10d._set_pg_timeout(timeout)
    return rates[0]


def _failure(error: str, records: Records, place: Place, deadline: float) -> PreflightFailed:
    try:
        records.tell(error)
        return explained(records.read(deadline), records.host, place)
    except dist.DistError:  # node 0 knows already, and has left with the store
        return PreflightFailed(
            f"the first all-reduce over all ranks failed on node {place.node_of(place.rank)}: {error}"
        )


def explained(records: Mapping[int, tuple[int, str]], host: Callable[[int], str], place: Place) -> PreflightFailed:
    """Return the error that names who did not take part: who says nothing, else who failed first."""
    silent = [rank for rank in range(place.size) if rank not in records]
    failed = sorted((turn, rank) for rank, (turn, _) in records.items() if turn)
    blamed = silent or [failed[0][1]]
    why = "says nothing" if silent else f"failed first: {records[blamed[0]][1]}"
    nodes = sorted({place.node_of(rank) for rank in blamed})
    names = ", ".join(f"rank {rank} on node {place.node_of(rank)} ({host(rank)})" for rank in blamed[:4])
    more = f" and {len(blamed) - 4} more" if len(blamed) > 4 else ""
    hint = "Do GLOO_SOCKET_IFNAME and NCCL_SOCKET_IFNAME name the right interface, and may pods connect on every port?"
    # Ranks that all waited in vain accuse nobody.
    suspects = nodes if silent or not _timed_out(records[blamed[0]][1]) else []
    text = f"the first all-reduce over all ranks failed: {names}{more} {why}"
    return PreflightFailed(text, suspects=suspects, hint=hint)


def _timed_out(error: str) -> bool:
    return any(words in error.lower() for words in ("timed out", "timeout", "not over within"))


def _within(seconds: float, work: Callable[[], None]) -> str | None:
    """Return what went wrong, or None; a library that hangs is left behind in its thread, for this process ends."""
    errors: list[str] = []

    def run() -> None:
        try:
            work()
        except Exception as error:
            errors.append(f"{type(error).__name__}: {str(error).strip()}".splitlines()[0][:300])

    thread = threading.Thread(target=run, daemon=True, name="first-contact")
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        return f"it was not over within {seconds:g} s"
    return errors[0] if errors else None


def _all_reduce(device: torch.device, size: int) -> float:
    tensor = torch.ones(_ELEMENTS, device=device)
    dist.all_reduce(tensor[:1])  # connections are made now
    _finish(tensor)
    began = time.perf_counter()
    dist.all_reduce(tensor)
    _finish(tensor)
    seconds = max(1e-6, time.perf_counter() - began)
    return 2 * (size - 1) / size * tensor.nbytes / seconds


def _finish(tensor: torch.Tensor) -> None:
    if tensor.device.type == "cuda":
        torch.cuda.synchronize(tensor.device)


def _own_connection(timeout: timedelta) -> Store:
    """While a library waits for its peers in the store, it keeps its connection to itself."""
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    return TCPStore(address, port, is_master=False, timeout=timeout)


def _text(told: bytes) -> str:
    return told.decode(errors="replace")


def _parsed(text: str) -> tuple[int, str]:
    turn, _, error = text.partition(" ")
    return int(turn), error
