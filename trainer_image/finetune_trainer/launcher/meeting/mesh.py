"""Every node tries to reach every other one, and sends some data to the next."""

import asyncio
import time
from collections.abc import Mapping
from typing import Final

from finetune_trainer.launcher.meeting.door import SAMPLE_BYTES, SAMPLE_SECONDS, Door
from finetune_trainer.launcher.meeting.plan import Meeting
from finetune_trainer.launcher.meeting.wire import Garbled, Line, Message, call

CONNECT_SECONDS: Final = 5.0
REACH_SECONDS: Final = 7.0
"""For all others together: those that packets do not reach hold up the rest, and are enough to know by then."""
_AT_ONCE: Final = 64
_PIECE: Final = b"\0" * (1 << 17)

Roll = Mapping[int, tuple[str, int]]
"""IP address and port of every node."""


async def examine(meeting: Meeting, door: Door, roll: Roll) -> Message:
    """Return what a node finds out about its ways to the others; takes fifteen seconds at most.

    These are seven to reach all, six for the sample, and one each to hang up.
    """
    if not meeting.others:
        return {"unreached": {}, "rates": []}
    unreached = await reach_all(meeting, roll)
    following = (meeting.rank + 1) % meeting.nodes
    if following in unreached:
        return {"unreached": _keyed(unreached), "rates": []}
    (sent, why), received = await asyncio.gather(send_sample(meeting, roll), door.received())
    if why is not None:
        unreached[following] = why
    return {"unreached": _keyed(unreached), "rates": [rate for rate in (sent, received) if rate is not None]}


def _keyed(unreached: Mapping[int, str]) -> dict[str, str]:
    return {str(rank): why for rank, why in unreached.items()}


async def reach_all(meeting: Meeting, roll: Roll) -> dict[int, str]:
    """Return the nodes that this one cannot talk to, and why; of those that it had no time for it says nothing."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def reach(rank: int) -> str | None:
        async with gate:
            return await ping(meeting, *roll[rank])

    # The next one first, to which data is sent afterwards; so no node is the first one of all.
    ranks = [(meeting.rank + step) % meeting.nodes for step in range(1, meeting.nodes)]
    tries = {rank: asyncio.create_task(reach(rank)) for rank in ranks}
    try:
        _, late = await asyncio.wait(tries.values(), timeout=REACH_SECONDS)
    finally:
        for task in tries.values():
            task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    answers = {rank: task.result() for rank, task in tries.items() if task not in late}
    return {rank: why for rank, why in sorted(answers.items()) if why is not None}


async def ping(meeting: Meeting, address: str, port: int) -> str | None:
    """Return why a node cannot be talked to, or None when it answers."""
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            line = await call(address, port, CONNECT_SECONDS, meeting.bind)
            try:
                await line.send("ping", run=meeting.run_id)
                answer = await line.receive(CONNECT_SECONDS)
            finally:
                await line.close()
    except (OSError, Garbled) as error:
        return explained(error, address, port, CONNECT_SECONDS)
    return None if answer["word"] == "pong" else f"{address}:{port} gave a strange answer"


async def send_sample(meeting: Meeting, roll: Roll) -> tuple[float | None, str | None]:
    """Send some data to the next node; return the bytes per second, or why it did not arrive."""
    address, port = roll[(meeting.rank + 1) % meeting.nodes]
    try:
        async with asyncio.timeout(SAMPLE_SECONDS):
            line = await call(address, port, CONNECT_SECONDS, meeting.bind)
            try:
                return await _send(meeting, line), None
            finally:
                await line.close()
    except (OSError, Garbled) as error:
        why = explained(error, address, port, SAMPLE_SECONDS)
        return None, f"{SAMPLE_BYTES >> 20} MiB did not arrive, although single messages do ({why}); is the MTU right?"


async def _send(meeting: Meeting, line: Line) -> float:
    began = time.perf_counter()
    await line.send("sample", run=meeting.run_id)
    for _ in range(SAMPLE_BYTES // len(_PIECE)):
        await line.send_bytes(_PIECE)
    await line.receive(SAMPLE_SECONDS)
    return SAMPLE_BYTES / max(1e-6, time.perf_counter() - began)


def explained(error: BaseException, address: str, port: int, seconds: float) -> str:
    """Return what an error says about the way to a node."""
    if isinstance(error, TimeoutError):
        return f"no answer from {address}:{port} within {seconds:g} s, packets are dropped on the way"
    return f"{address}:{port}: {error}"
