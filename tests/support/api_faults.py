"""Faults of an API server, each as one row: what the proxy does, and for how many requests the operator may take it."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from support.fault_proxy import EndOfStream, Exchange, Fault, refusal, reply

Make = Callable[[], Fault]


@dataclass(frozen=True)
class Row:
    """One fault."""

    name: str
    make: Make
    """Makes it anew for each run, as faults count."""
    options: Sequence[str] = field(default=())
    """What the operator is started with."""


def _first(times: int, concerns: Callable[[Exchange], bool], then: Fault) -> Fault:
    """Do something to the first requests of a kind, for each path apart."""
    done: Counter[tuple[str, str]] = Counter()

    async def fault(exchange: Exchange) -> web.StreamResponse | None:
        key = exchange.asked.method, exchange.asked.path
        if not concerns(exchange) or done[key] >= times:
            return None
        done[key] += 1
        return await then(exchange)

    return fault


def _every(number: int, concerns: Callable[[Exchange], bool], then: Fault, times: int = 10**9) -> Fault:
    """Do something to each so-manieth request of a kind, so many times."""
    seen = 0

    async def fault(exchange: Exchange) -> web.StreamResponse | None:
        nonlocal seen
        if not concerns(exchange):
            return None
        seen += 1
        return await then(exchange) if seen % number == 0 and seen <= number * times else None

    return fault


def _but_every(number: int, concerns: Callable[[Exchange], bool], then: Fault) -> Fault:
    """Do something to all but each so-manieth request of a kind, for each path apart."""
    seen: Counter[str] = Counter()

    async def fault(exchange: Exchange) -> web.StreamResponse | None:
        if not concerns(exchange):
            return None
        seen[exchange.asked.path] += 1
        return await then(exchange) if seen[exchange.asked.path] % number else None

    return fault


def _watches(exchange: Exchange) -> bool:
    return exchange.asked.watches


def _writes(exchange: Exchange) -> bool:
    return exchange.asked.writes


def _plain(exchange: Exchange) -> bool:
    return not exchange.asked.watches


def _statuses(exchange: Exchange) -> bool:
    return exchange.asked.method == "PATCH" and exchange.asked.path.endswith("/status")


def _refuse(code: int, reason: str, **headers: str) -> Fault:
    async def then(exchange: Exchange) -> web.StreamResponse:
        return refusal(code, reason, {name.replace("_", "-"): value for name, value in headers.items()})

    return then


def _error_event(code: int, reason: str, after: int) -> Fault:
    """Hand on some lines of a stream, and end it with an event that tells an error."""
    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": "x"}
    error = json.dumps({"type": "ERROR", "object": status}).encode() + b"\n"

    async def then(exchange: Exchange) -> web.StreamResponse:
        return await exchange.stream(_after(after, lambda line: error))

    return then


def _after(lines: int, last: Callable[[bytes], bytes]) -> Callable[[bytes], bytes | None]:
    seen = 0

    def each(line: bytes) -> bytes | None:
        nonlocal seen
        seen += 1
        if seen > lines:
            raise EndOfStream(last(line))
        return line

    return each


async def _cut_mid_line(exchange: Exchange) -> web.StreamResponse:
    return await exchange.stream(_after(2, lambda line: line[: len(line) // 2]))


async def _swallow_deletions(exchange: Exchange) -> web.StreamResponse:
    return await exchange.stream(lambda line: None if b'"type":"DELETED"' in line[:40] else line)


async def _mute(exchange: Exchange) -> web.StreamResponse:
    return await exchange.mute_stream()


async def _silent(exchange: Exchange) -> web.StreamResponse:
    return await exchange.silence()


async def _truncated(exchange: Exchange) -> web.StreamResponse:
    answer = await exchange.answer()
    answer.body = answer.body[: len(answer.body) // 2]
    return reply(answer)


async def _lost(exchange: Exchange) -> web.StreamResponse:
    """The server does it, and nobody learns."""
    await exchange.answer()
    return exchange.drop()


async def _slow(exchange: Exchange) -> web.StreamResponse | None:
    await asyncio.sleep(0.3)
    return None


def stale_lists() -> Fault:
    """Every second list of everything is the one from before; a fresh read of one job's pods never is."""
    old: dict[str, web.Response] = {}
    turns: Counter[str] = Counter()

    async def fault(exchange: Exchange) -> web.StreamResponse | None:
        asked = exchange.asked
        selected = asked.query.get("labelSelector", "")
        if not asked.lists or "=" in selected or "continue" in asked.query:
            return None
        answer = await exchange.answer()
        turns[asked.path] += 1
        if turns[asked.path] % 2 == 0:
            kept = old[asked.path]
            return web.Response(status=kept.status, headers=kept.headers, body=kept.body)
        old[asked.path] = reply(answer)
        return reply(answer)

    return fault


def rotated_tokens(old: str, seconds: float) -> Fault:
    """From a moment on, the old token is worth nothing."""
    begun = time.monotonic()

    async def fault(exchange: Exchange) -> web.StreamResponse | None:
        used = exchange.asked.headers.get("Authorization")
        expired = time.monotonic() - begun > seconds
        return refusal(401, "Unauthorized") if expired and used == f"Bearer {old}" else None

    return fault


ROWS: Final = (
    Row("nothing", lambda: _first(0, _plain, _lost)),
    Row("watches end with an ERROR event 410", lambda: _first(4, _watches, _error_event(410, "Expired", 2))),
    Row("watches end with an ERROR event 500", lambda: _first(3, _watches, _error_event(500, "InternalError", 2))),
    Row("watches are refused with 410", lambda: _first(2, _watches, _refuse(410, "Expired"))),
    Row("watches are refused with 500", lambda: _first(3, _watches, _refuse(500, "InternalError"))),
    Row("watches break off within a line", lambda: _first(3, _watches, _cut_mid_line)),
    Row("watches never say a word", lambda: _first(2, _watches, _mute), ("--watch-silence", "4")),
    Row("watches are never answered", lambda: _first(1, _watches, _silent), ("--watch-silence", "4")),
    Row("deletions are swallowed", lambda: _every(1, _watches, _swallow_deletions), ("--resync", "3")),
    Row("lists are stale", stale_lists, ("--resync", "2")),
    Row("each status is refused three times with 409", lambda: _but_every(4, _statuses, _refuse(409, "Conflict"))),
    Row(
        "every third request is refused with 429",
        lambda: _every(3, _plain, _refuse(429, "TooManyRequests", Retry_After="1")),
    ),
    Row("every third write is refused with 500", lambda: _every(3, _writes, _refuse(500, "InternalError"))),
    Row("every third answer to a write is lost", lambda: _every(3, _writes, _lost)),
    Row("a dozen answers are cut off", lambda: _every(4, _plain, _truncated, times=12)),
    Row("answers are slow", lambda: _every(1, _plain, _slow)),
)
