"""What goes over the wire before an attempt begins: JSON objects, one a line, bounded in length and in time."""

import asyncio
import json
from contextlib import suppress
from typing import Any, Final

LINE_BYTES: Final = 1 << 18
"""The longest line: the addresses of some thousand nodes."""
CLOSE_SECONDS: Final = 1.0

Message = dict[str, Any]


class Garbled(Exception):
    """The other side speaks another language, or too much."""


class Line:
    """One connection to another node."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self._writer = writer

    @property
    def peer(self) -> str:
        """The address of the other side."""
        address = str((self._writer.get_extra_info("peername") or ["?"])[0])
        return address.removeprefix("::ffff:")  # IPv4, as a socket for both families writes it

    async def send(self, word: str, **content: object) -> None:
        """Send one message; raises OSError when the other side is gone."""
        await self.send_bytes(json.dumps({"word": word, **content}).encode() + b"\n")

    async def send_bytes(self, data: bytes) -> None:
        """Send bytes as they are, no faster than the other side takes them."""
        self._writer.write(data)
        await self._writer.drain()

    async def receive(self, seconds: float) -> Message:
        """Return the next message; raises TimeoutError, ConnectionError at the end of the line, or Garbled."""
        try:
            async with asyncio.timeout(seconds):
                text = await self.reader.readline()
        except ValueError as error:  # longer than the limit
            raise Garbled(str(error)) from error
        if not text.endswith(b"\n"):
            raise ConnectionError("the other side left")
        return parse(text)

    async def wait_for_end(self, seconds: float | None = None) -> None:
        """Return when the other side hangs up, or has not for so long."""
        with suppress(OSError):
            async with asyncio.timeout(seconds):
                await self.reader.read(1)

    async def close(self) -> None:
        """Hang up; what the other side has not taken soon is dropped, for nothing bounds how long it may stall."""
        self._writer.close()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._writer.wait_closed()
        except OSError:
            self._writer.transport.abort()


def parse(text: bytes) -> Message:
    """Return the object in a line; raises Garbled when it holds none with a word."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Garbled("not JSON") from error
    if not isinstance(message, dict) or not isinstance(message.get("word"), str):
        raise Garbled("not a message")
    return message


async def call(address: str, port: int, seconds: float, source: str | None = None) -> Line:
    """Connect to an IP address, from `source` if that is given.

    Raises OSError; of these TimeoutError says that packets are dropped on the way.
    """
    async with asyncio.timeout(seconds):
        own = (source, 0) if source is not None else None
        return Line(*await asyncio.open_connection(address, port, limit=LINE_BYTES, local_addr=own))
