"""A proxy between one operator and the API server: it records what is asked, and lets faults have their way.

It speaks plain HTTP to the operator and TLS to the server, as the administrator unless a request brings a token.
"""

import asyncio
import ssl
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
from aiohttp import web

from finetune_operator.cluster.access import tls_context
from finetune_operator.cluster.kubeconfig import log_in

_DROPPED: Final = {"content-length", "content-encoding", "transfer-encoding", "connection", "host", "accept-encoding"}
"""Headers of one connection, or of a body that is written anew."""
_PLAIN: Final = {"Accept-Encoding": "identity"}


@dataclass(frozen=True)
class Asked:
    """One request."""

    at: float
    """When it came, by the monotonic clock."""
    method: str
    path: str
    query: Mapping[str, str]
    body: bytes
    headers: Mapping[str, str]

    @property
    def writes(self) -> bool:
        """Whether it may change something."""
        return self.method != "GET"

    @property
    def watches(self) -> bool:
        """Whether it asks for a stream of changes."""
        return "watch" in self.query

    @property
    def lists(self) -> bool:
        """Whether it asks for many objects."""
        return self.method == "GET" and not self.watches and self.path.split("/")[-1] in ("pods", "finetunejobs")

    def about(self, plural: str) -> bool:
        """Whether it is about objects of this kind."""
        return plural in self.path.split("/")


@dataclass
class Answer:
    """The whole of an answer that is no stream."""

    code: int
    headers: dict[str, str]
    body: bytes


class Exchange:
    """One request on its way, in the hands of faults."""

    def __init__(self, proxy: "FaultProxy", asked: Asked, request: web.BaseRequest) -> None:
        self.proxy, self.asked, self._request = proxy, asked, request

    async def answer(self) -> Answer:
        """Ask the server, and wait for all that it answers."""
        async with self._open() as got:
            body = await got.read()
        if self.asked.writes:
            self.proxy.written(self.asked, got.status)
        return Answer(got.status, _kept(got.headers), body)

    async def stream(self, each: Callable[[bytes], bytes | None] = lambda line: line) -> web.StreamResponse:
        """Ask the server for a stream and hand on its lines; None for one that is swallowed; EndOfStream ends it."""
        async with self._open() as got:
            answer = web.StreamResponse(status=got.status, headers=_kept(got.headers))
            await answer.prepare(self._request)
            try:
                async for line in _lines(got.content):
                    handed = each(line)
                    if handed is not None:
                        await answer.write(handed)
            except EndOfStream as end:
                await answer.write(end.last)
            return answer

    async def silence(self) -> web.StreamResponse:
        """Take the request and never say a word."""
        await asyncio.sleep(3600)
        return self.drop()

    async def mute_stream(self) -> web.StreamResponse:
        """Begin to answer, and then never say a word."""
        answer = web.StreamResponse(headers={"Content-Type": "application/json"})
        await answer.prepare(self._request)
        return await self.silence()

    def drop(self) -> web.StreamResponse:
        """Break the connection off."""
        if self._request.transport is not None:
            self._request.transport.abort()
        return web.Response()

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[aiohttp.ClientResponse]:
        asked, proxy = self.asked, self.proxy
        token = asked.headers.get("Authorization")
        url = proxy.upstream + asked.path
        async with proxy.session().request(
            asked.method, url, params=asked.query, data=asked.body or None, headers=_kept(asked.headers) | _PLAIN,
            ssl=proxy.anonymous if token else proxy.administrator,
        ) as got:  # fmt: skip
            yield got


class EndOfStream(Exception):
    """Raised to end a stream in good order, after these last bytes."""

    def __init__(self, last: bytes) -> None:
        super().__init__()
        self.last = last


Fault = Callable[[Exchange], Awaitable[web.StreamResponse | None]]
"""Answers in the server's place, or returns None for what does not concern it."""


@dataclass
class FaultProxy:
    """One operator's way to the API server."""

    upstream: str
    administrator: ssl.SSLContext
    anonymous: ssl.SSLContext
    record: list[Asked] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    after_write: Callable[[int, Asked], None] = lambda number, asked: None
    """Called when the server has done the write of this number, before the operator learns of it."""
    writes: int = 0
    url: str = ""
    cut: bool = False
    """Whether every connection is broken off."""
    _session: aiohttp.ClientSession | None = None

    @classmethod
    def to(cls, kubeconfig: Path) -> "FaultProxy":
        """Return a proxy that asks as whom this kubeconfig says."""
        access = log_in(kubeconfig, None)
        assert access.tls is not None
        anonymous = tls_context(verify=False)  # the token is what says who asks
        return cls(access.server, access.tls, anonymous)

    @contextmanager
    def serving(self) -> Iterator["FaultProxy"]:
        """Serve from a thread of its own."""
        started, stop = threading.Event(), asyncio.Event()
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_until_complete, args=(self._serve(started, stop),), daemon=True)
        thread.start()
        assert started.wait(60)
        try:
            yield self
        finally:
            loop.call_soon_threadsafe(stop.set)
            thread.join(60)
            loop.close()

    def session(self) -> aiohttp.ClientSession:
        """Connections to the server."""
        assert self._session is not None
        return self._session

    def written(self, asked: Asked, code: int) -> None:
        """Count a write that the server accepted."""
        if code < 400:
            self.writes += 1
            self.after_write(self.writes, asked)

    def written_since(self, moment: float) -> list[Asked]:
        """Return the writes that came after a moment."""
        return [one for one in list(self.record) if one.writes and one.at > moment]

    async def _serve(self, started: threading.Event, stop: asyncio.Event) -> None:
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=None, sock_connect=5),
        ) as self._session:  # fmt: skip
            server = web.Server(self._handle, access_log=None)
            listening = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
            self.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
            started.set()
            await stop.wait()
            listening.close()
            await server.shutdown(0.1)
            left = asyncio.all_tasks() - {asyncio.current_task()}
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
        await asyncio.sleep(0.25)  # aiohttp closes TLS connections a little after their session

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        asked = Asked(
            time.monotonic(), request.method, request.path, dict(request.query), await request.read(),
            dict(request.headers),
        )  # fmt: skip
        self.record.append(asked)
        exchange = Exchange(self, asked, request)
        if self.cut:
            return exchange.drop()
        try:
            for fault in self.faults:
                answered = await fault(exchange)
                if answered is not None:
                    return answered
            return await pass_on(exchange)
        except (aiohttp.ClientError, OSError):
            return exchange.drop()

    def break_off(self) -> None:
        """Break off every connection from now on."""
        self.cut = True


async def pass_on(exchange: Exchange) -> web.StreamResponse:
    """Do what a proxy does."""
    if exchange.asked.watches:
        return await exchange.stream()
    return reply(await exchange.answer())


def reply(answer: Answer) -> web.Response:
    """Hand an answer on."""
    return web.Response(status=answer.code, headers=answer.headers, body=answer.body)


def refusal(code: int, reason: str, headers: Mapping[str, str] | None = None) -> web.Response:
    """Answer as an API server that refuses."""
    status: dict[str, Any] = {
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason,
        "message": f"the proxy says {reason}",
    }  # fmt: skip
    return web.json_response(status, status=code, headers=headers)


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    kept = b""
    async for chunk in content.iter_any():
        *lines, kept = (kept + chunk).split(b"\n")
        for line in lines:
            yield line + b"\n"


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _DROPPED}
