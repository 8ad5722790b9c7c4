"""Where a node listens while the nodes meet: it answers who belongs to the same attempt, and believes nobody else."""

import asyncio
import errno
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Final

from finetune_trainer.launcher.meeting.plan import Meeting
from finetune_trainer.launcher.meeting.wire import LINE_BYTES, Garbled, Line, Message

FIRST_WORD_SECONDS: Final = 5.0
SAMPLE_BYTES: Final = 4 << 20
"""What a node sends to the next one: 3 ms at 10 Gbit/s, a third of a second at 100 Mbit/s."""
SAMPLE_SECONDS: Final = 6.0
_GOODBYE_SECONDS: Final = 1.0
REFUSAL: Final = "another attempt or another job meets here"

Welcome = Callable[[Line, Message], Awaitable[None]]


def listen(address: str | None, port: int) -> socket.socket:
    """Return a socket that listens at one address, or at all of this machine, of both families where it has both."""
    if address is not None:
        return socket.create_server((address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET)
    try:
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            raise
        return socket.create_server(("", port))


class Door:
    """The listening side of one node, open for the few seconds of the meeting."""

    def __init__(self, meeting: Meeting, welcome: Welcome | None = None) -> None:
        self._meeting = meeting
        self._welcome = welcome
        self._answering: set[asyncio.Task[object] | None] = set()
        self._server: asyncio.Server | None = None
        self.met = False
        """Whether this node has reached node 0."""
        self.trying_since = time.monotonic()
        self._received: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    @property
    def port(self) -> int:
        """Where others reach this node."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def received(self) -> float | None:
        """Return the bytes per second that came from the node before, or None when nothing came in time."""
        done, _ = await asyncio.wait([self._received], timeout=SAMPLE_SECONDS)
        return self._received.result() if done else None

    async def open(self) -> None:
        """Listen; at the meeting's port where this node has an address of its own, or is node 0."""
        meeting = self._meeting
        if meeting.rank == 0:
            listener = listen(meeting.bind, meeting.port)
        else:
            try:
                listener = listen(meeting.bind, meeting.port if meeting.peers else 0)
            except OSError:
                # Taken by something else on this machine: then nobody can ask this node, and all else works.
                listener = listen(meeting.bind, 0)
        self._server = await asyncio.start_server(self._answer, sock=listener, limit=LINE_BYTES)

    async def close(self) -> None:
        """Listen no more; the port is free for torchrun afterwards."""
        if self._server is not None:
            self._server.close()
        answering = [task for task in self._answering if task is not None]
        for task in answering:
            task.cancel()
        await asyncio.gather(*answering, return_exceptions=True)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = Line(reader, writer)
        self._answering.add(asyncio.current_task())
        try:
            if len(self._answering) <= 4 * self._meeting.nodes + 64:  # strangers may not use up this node's memory
                await self._serve(line)
                # The port of the one who hangs up first stays taken for a minute, and torchrun needs this one now.
                await line.wait_for_end(_GOODBYE_SECONDS)
        except (OSError, Garbled, asyncio.CancelledError):
            pass  # a stranger, one who left, which those who wait for it will miss, or the meeting is over
        finally:
            self._answering.discard(asyncio.current_task())
            await line.close()

    async def _serve(self, line: Line) -> None:
        message = await line.receive(FIRST_WORD_SECONDS)
        if message.get("run") != self._meeting.run_id:
            return await line.send("refused", why=REFUSAL)
        match message["word"]:
            case "ping":
                await line.send("pong")
            case "ask":
                await line.send("told", met=self.met, seconds=time.monotonic() - self.trying_since)
            case "sample":
                await self._take_sample(line)
            case "hello" if self._welcome is not None:
                await self._welcome(line, message)

    async def _take_sample(self, line: Line) -> None:
        began, count = time.perf_counter(), 0
        async with asyncio.timeout(SAMPLE_SECONDS):
            while count < SAMPLE_BYTES:
                piece = await line.reader.read(1 << 17)
                if not piece:
                    return
                count += len(piece)
        if not self._received.done():
            self._received.set_result(count / max(1e-6, time.perf_counter() - began))
        await line.send("thanks")
