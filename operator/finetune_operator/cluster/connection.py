"""Requests to one API server over HTTP: logged in, counted, and with errors in the server's own words."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType, SimpleNamespace
from typing import Any, Final

import aiohttp

from finetune_operator.cluster.access import Access, Login
from finetune_operator.cluster.errors import LoginError, Unreachable, answer_error
from finetune_operator.cluster.resources import Resource

Body = dict[str, Any]

_CONNECTIONS: Final = 128
_REQUEST: Final = aiohttp.ClientTimeout(total=30, sock_connect=10)


class Connection:
    """Keeps the sockets to one API server, and logs in anew when it says that this is needed."""

    def __init__(self, login: Login, agent: str) -> None:
        self.login, self._agent = login, agent
        self.access: Access = login()
        self._session: aiohttp.ClientSession | None = None
        self._logging_in = asyncio.Lock()
        self.requests: dict[tuple[str, str], int] = {}
        """How many requests were sent, by verb and plural name."""
        self.guard: Callable[[], None] = lambda: None
        """Raises Fenced when nothing may be changed any more."""

    async def close(self) -> None:
        """End all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def json(
        self, method: str, resource: Resource, path: str, params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None, *, content_type: str = "application/json", accept: str | None = None,
        verb: str | None = None,
    ) -> Body:  # fmt: skip
        """Send a request and return the JSON of its answer; raises ApiError or Unreachable."""
        data = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        headers = {"Accept": accept} if accept else {}
        headers |= {"Content-Type": content_type} if data is not None else {}
        async with self.answer(method, resource, path, params or {}, data, headers, verb=verb) as got:
            text = await self.text(got)
        return self._document(text)

    @asynccontextmanager
    async def answer(
        self, method: str, resource: Resource, path: str, params: Mapping[str, str], data: bytes | None = None,
        headers: Mapping[str, str] = MappingProxyType({}), *, timeout: aiohttp.ClientTimeout = _REQUEST,
        verb: str | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:  # fmt: skip
        """Send a request; an answer of 401 is believed only after logging in anew."""
        used = self.access
        answer = await self._send(used, method, path, params, data, headers, timeout)
        self._count(verb or method.lower(), resource)
        if answer.status == 401:
            answer.release()
            used = await self._renewed(used)
            answer = await self._send(used, method, path, params, data, headers, timeout)
        try:
            if answer.status >= 400:
                raise answer_error(answer.status, answer.headers, await self.text(answer))
            yield answer
        finally:
            answer.release() if answer.content.at_eof() else answer.close()

    async def _send(
        self, used: Access, method: str, path: str, params: Mapping[str, str], data: bytes | None,
        headers: Mapping[str, str], timeout: aiohttp.ClientTimeout,
    ) -> aiohttp.ClientResponse:  # fmt: skip
        if self._session is None:
            self._session = self._open()
        authorization = used.authorization()
        sent = {**headers, **({"Authorization": authorization} if authorization else {})}
        reads = method == "GET"
        if not reads:
            self.guard()
        try:
            return await self._session.request(
                method, used.server + path, params=params, data=data, headers=sent, timeout=timeout,
                ssl=used.tls if used.tls is not None else True, server_hostname=used.tls_name,
                proxy=used.proxy_used, allow_redirects=False, trace_request_ctx=reads,
            )  # fmt: skip
        except (aiohttp.ClientError, TimeoutError, OSError, ssl.SSLError) as error:
            raise self._unreachable(error) from error

    async def text(self, answer: aiohttp.ClientResponse) -> str:
        """Return all that an answer says."""
        return b"".join([chunk async for chunk in self.chunks(answer)]).decode(errors="replace")

    async def chunks(self, answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        """Yield an answer in the pieces in which it comes; raises Unreachable when it breaks off."""
        try:
            async for chunk in answer.content.iter_any():
                yield chunk
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: BaseException) -> Unreachable:
        why = "no answer in time" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
        return Unreachable(f"the API server at {self.access.server} cannot be reached: {why}")

    def _document(self, text: str) -> Body:
        """What is cut off or comes from something else on the way is as good as no answer."""
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise Unreachable(f"the API server at {self.access.server} did not answer with a whole JSON object")
        return found

    async def _renewed(self, used: Access) -> Access:
        """Log in again, unless another request has done so meanwhile."""
        async with self._logging_in:
            if self.access is used:
                try:
                    self.access = await asyncio.to_thread(self.login)
                except LoginError as error:  # we were logged in once, so this may pass
                    raise Unreachable(f"the API server at {used.server} wants a new login: {error}") from error
        return self.access

    def _open(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=_CONNECTIONS),
            headers={"User-Agent": self._agent, "Accept": "application/json"},
            trace_configs=[self._last_look()],
        )

    def _last_look(self) -> aiohttp.TraceConfig:
        """Ask the guard once more when a connection is there: a stopped process may wake up while it is made."""

        async def connected(_: aiohttp.ClientSession, about: SimpleNamespace, __: Any) -> None:
            if not about.trace_request_ctx:
                self.guard()

        trace = aiohttp.TraceConfig()
        trace.on_connection_create_end.append(connected)
        trace.on_connection_reuseconn.append(connected)
        return trace

    def _count(self, verb: str, resource: Resource) -> None:
        key = verb, resource.plural
        self.requests[key] = self.requests.get(key, 0) + 1


def session_of(access: Access, agent: str) -> aiohttp.ClientSession:
    """Open a session that is logged in with `access`, for another library that wants one."""

    async def authorize(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        authorization = access.authorization()
        if authorization:
            request.headers["Authorization"] = authorization
        if access.tls_name:  # a session has no setting for it, only each request
            request.server_hostname = access.tls_name
        return await handler(request)

    connector = aiohttp.TCPConnector(limit=0, ssl=access.tls if access.tls is not None else True)
    return aiohttp.ClientSession(
        connector=connector, headers={"User-Agent": agent}, proxy=access.proxy_used, middlewares=(authorize,)
    )
