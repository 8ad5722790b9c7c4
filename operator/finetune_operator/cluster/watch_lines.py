"""Cuts the answer to a watch into events: one JSON document a line, in chunks of any size."""

import json
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

from finetune_operator.cluster.errors import ApiError

Body = dict[str, Any]


async def lines_of(chunks: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """Yield the complete lines; what follows the last newline is a cut-off event, and dropped."""
    kept: list[bytes] = []  # a line may come in hundreds of pieces: joined once, when it is complete
    async for chunk in chunks:
        first, *rest = chunk.split(b"\n")
        kept.append(first)
        for piece in rest:
            line = b"".join(kept)
            kept = [piece]
            if line.strip():
                yield line


async def events_of(lines: AsyncIterable[bytes]) -> AsyncIterator[tuple[str, Body]]:
    """Yield the type and object of each event; raises ApiError for one of type ERROR."""
    async for line in lines:
        event = json.loads(line)
        body = event["object"]
        if event["type"] == "ERROR":
            message = str(body.get("message") or "the watch ended with an error")
            raise ApiError(int(body.get("code") or 500), str(body.get("reason") or "Unknown"), message)
        yield event["type"], body
