"""Lines of pods' logs: when each was written, and by which rank."""

import re
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

_RANK: Final = re.compile(r"\[rank (\d+)\] ?")
"""What a launcher puts before the lines of every rank but rank 0."""
_STAMP: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d) ?")


@dataclass(frozen=True, order=True)
class Stamped:
    """A line and when it was written, in nanoseconds since 1970."""

    at: int
    text: str

    @property
    def second(self) -> str:
        """The whole second in which it was written, as the API server reads it."""
        return datetime.fromtimestamp(self.at // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def stamped(line: bytes, before: int = 0) -> Stamped:
    """Split a line of a log with timestamps; one without is taken to be as old as the line before it."""
    text = line.decode(errors="replace").rstrip("\r")
    match = _STAMP.match(text)
    if match is None:
        return Stamped(before, text)
    seconds = int(datetime.fromisoformat(match[1] + match[3]).timestamp())
    return Stamped(seconds * 10**9 + int((match[2] or "").ljust(9, "0")), text[match.end() :])


async def whole_lines(chunks: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """Yield lines without their ends, also a last one that has none."""
    kept: list[bytes] = []
    async for chunk in chunks:
        first, *rest = chunk.split(b"\n")
        kept.append(first)
        for piece in rest:
            yield b"".join(kept)
            kept = [piece]
    if any(kept):
        yield b"".join(kept)


def line_of_rank(text: str, rank: int, first_rank: int) -> str | None:
    """Return what `rank` wrote, without its mark, or None for another's line.

    Lines without a mark are rank 0's, or the launcher's: they are taken for those of the node's first rank.
    """
    match = _RANK.match(text)
    if match is None:
        return text if rank == first_rank else None
    return text[match.end() :] if int(match[1]) == rank else None


def line_with_origin(text: str, node: int) -> str:
    """Return a line that says who wrote it: its rank, or the launcher of its node."""
    if _RANK.match(text):
        return text
    return f"[rank 0] {text}" if node == 0 else f"[node {node}] {text}"
