"""Writes to the API server as somebody who may do everything, and waits while it is away."""

import asyncio
import http.client
import ssl
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import aiohttp

from cluster.control_plane import ControlPlane
from soak.happenings import Body

MERGE: Final = "application/merge-patch+json"
_PATIENCE: Final = 240
"""Tries, a quarter of a second apart."""
_PAUSE: Final = 0.25
_BUSY: Final = (http.client.TOO_MANY_REQUESTS, http.client.INTERNAL_SERVER_ERROR, http.client.SERVICE_UNAVAILABLE)


class Refused(Exception):
    """The API server does not do what was asked."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class Api:
    """One connection pool, used inside of an `async with` block."""

    def __init__(self, plane: ControlPlane) -> None:
        self._url, self._context = plane.url, _context(plane)

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(ssl=self._context, limit=32)
        self._session = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=20))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()
        await asyncio.sleep(0.1)  # aiohttp closes TLS connections a little after their session

    async def send(self, method: str, path: str, body: Body | None = None, content: str = "application/json") -> Body:
        """Send one request until it is answered; raises Refused."""
        for _ in range(_PATIENCE):
            try:
                async with self._session.request(
                    method, self._url + path, json=body, headers={"Content-Type": content, "Accept": "application/json"}
                ) as answer:
                    found: Body = await answer.json()
                    if answer.status < http.client.BAD_REQUEST:
                        return found
                    if answer.status not in _BUSY:
                        raise Refused(answer.status, str(found.get("message")))
            except (aiohttp.ClientError, TimeoutError, OSError):
                pass  # it is being restarted; whoever asks for something that was done by then is told 404 or 409
            await asyncio.sleep(_PAUSE)
        raise Refused(http.client.SERVICE_UNAVAILABLE, f"{method} {path} was not answered")

    async def patch(self, path: str, body: Body) -> None:
        """Merge into an object, if it still exists."""
        await self._if_there("PATCH", path, body, MERGE)

    async def delete(self, path: str, uid: str | None = None, grace: int | None = None) -> None:
        """Delete an object, if it still exists."""
        options: Body = {"preconditions": {"uid": uid}} if uid else {}
        options |= {} if grace is None else {"gracePeriodSeconds": grace}
        await self._if_there("DELETE", path, {"propagationPolicy": "Background", **options})

    async def create(self, path: str, body: Body) -> None:
        """Create an object, unless an answer that was lost has done so already."""
        await self._if_there("POST", path, body)

    async def _if_there(self, method: str, path: str, body: Body, content: str = "application/json") -> None:
        try:
            await self.send(method, path, body, content)
        except Refused as error:
            if error.code not in (http.client.NOT_FOUND, http.client.CONFLICT):
                raise


def _context(plane: ControlPlane) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=plane.authority.certificate.decode("ascii"))
    pair = plane.authority.client("soak", ["system:masters"])
    with tempfile.TemporaryDirectory() as directory:  # OpenSSL reads a client's certificate from files only
        file = Path(directory) / "client.pem"
        file.touch(mode=0o600)
        file.write_bytes(pair.certificate + pair.key)
        context.load_cert_chain(file)
    return context
