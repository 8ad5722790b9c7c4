"""Talks to the API server in raw JSON: typed models would cost ten times the time and four times the memory."""

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Self

import aiohttp

from finetune_operator.cluster import access as access_of
from finetune_operator.cluster import kubeconfig
from finetune_operator.cluster.access import Access, Login
from finetune_operator.cluster.errors import ApiError, LoginError, Unreachable, answer_error
from finetune_operator.cluster.resources import PODS, Resource
from finetune_operator.cluster.watch_lines import events_of, lines_of

__all__ = ["ApiError", "Body", "Client", "Listing", "LoginError", "Unreachable"]

Body = dict[str, Any]

MERGE_PATCH: Final = "application/merge-patch+json"
APPLY_PATCH: Final = "application/apply-patch+yaml"
METADATA: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
"""Asks for a list of metadata alone, which is a fraction of the objects."""

_CONNECTIONS: Final = 128
_PAGE: Final = 500
_REQUEST: Final = aiohttp.ClientTimeout(total=30, sock_connect=10)
_WATCH_SECONDS: Final = 290
"""The server ends a watch after so long; a connection that died in silence is noticed a little later."""
_WATCH: Final = aiohttp.ClientTimeout(total=_WATCH_SECONDS + 20, sock_connect=10)
_STREAM: Final = aiohttp.ClientTimeout(total=None, sock_connect=10)


@dataclass(frozen=True)
class Listing:
    """The objects of one kind at one moment."""

    items: list[Body]
    resource_version: str
    """From which a watch goes on."""


class Client:
    """A connection to one API server; used as an async context manager."""

    def __init__(self, login: Login, *, agent: str = "finetune-operator") -> None:
        self._login, self._agent = login, agent
        self._access: Access = login()
        self._session: aiohttp.ClientSession | None = None
        self._logging_in = asyncio.Lock()
        self.requests: dict[tuple[str, str], int] = {}
        """How many requests were sent, by verb and plural name."""

    @classmethod
    def from_kubeconfig(cls, path: Path | None = None, context: str | None = None) -> Self:
        """Log in as kubectl would; raises LoginError."""
        return cls(partial(kubeconfig.log_in, path, context))

    @classmethod
    def in_cluster(cls) -> Self:
        """Log in with the service account of this pod; raises LoginError."""
        return cls(access_of.in_cluster)

    @property
    def namespace(self) -> str:
        """Where objects are when nobody says otherwise."""
        return self._access.namespace

    @property
    def server(self) -> str:
        """URL of the API server."""
        return self._access.server

    @property
    def log_in(self) -> Login:
        """How this client logs in, for those who open connections of their own."""
        return self._login

    async def __aenter__(self) -> Self:
        self._session = self._open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    # Objects

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> Body:
        """Return one object; raises ApiError (404 when there is none)."""
        return await self._json("GET", resource, resource.path(self._place(namespace), name))

    async def list(
        self, resource: Resource, namespace: str | None = None, *, labels: str | None = None,
        fields: str | None = None, resource_version: str | None = None, metadata_only: bool = False,
    ) -> Listing:  # fmt: skip
        """Return the objects of one namespace, or of all when it is None; version "0" asks the server's cache."""
        chosen = _given(labelSelector=labels, fieldSelector=fields, resourceVersion=resource_version)
        items: list[Body] = []
        page: dict[str, str] = {} if resource_version else {"limit": str(_PAGE)}
        while True:
            params = chosen | page
            found = await self._json(
                "GET",
                resource,
                resource.path(namespace),
                params,
                verb="list",
                accept=METADATA if metadata_only else None,
            )
            items += found.get("items") or []
            metadata = found.get("metadata") or {}
            if not metadata.get("continue"):
                break
            page = {"limit": str(_PAGE), "continue": metadata["continue"]}
        for item in items:  # a list names its items' kind once, for all of them; metadata alone says another
            item |= {"kind": resource.kind, "apiVersion": resource.api_version}
        return Listing(items, str(metadata.get("resourceVersion") or ""))

    async def create(
        self, resource: Resource, body: Mapping[str, Any], namespace: str | None = None, *, dry_run: bool = False
    ) -> Body:
        """Create an object in `namespace`, else in its own, else in the default one; raises ApiError."""
        place = namespace or (body.get("metadata") or {}).get("namespace") or self.namespace
        params = _given(dryRun="All" if dry_run else None, fieldManager=self._agent)
        return await self._json("POST", resource, resource.path(place), params, body)

    async def patch(
        self, resource: Resource, name: str, patch: Mapping[str, Any], namespace: str | None = None, *,
        subresource: str | None = None, dry_run: bool = False,
    ) -> Body:  # fmt: skip
        """Merge `patch` into an object; with a resourceVersion in it, only into that version (else 409)."""
        path = resource.path(self._place(namespace), name, subresource)
        params = _given(dryRun="All" if dry_run else None, fieldManager=self._agent)
        return await self._json("PATCH", resource, path, params, patch, content_type=MERGE_PATCH)

    async def patch_status(
        self, resource: Resource, name: str, patch: Mapping[str, Any], namespace: str | None = None
    ) -> Body:
        """Merge `patch`, which holds `status`, into an object's status; a null in it removes a key."""
        return await self.patch(resource, name, patch, namespace, subresource="status")

    async def replace(self, resource: Resource, body: Mapping[str, Any], *, subresource: str | None = None) -> Body:
        """Put `body` in the place of the version that it was read as; raises ApiError (409 when that is gone)."""
        metadata = body["metadata"]
        path = resource.path(metadata.get("namespace"), metadata["name"], subresource)
        return await self._json("PUT", resource, path, _given(fieldManager=self._agent), body)

    async def apply(
        self, resource: Resource, body: Mapping[str, Any], namespace: str | None = None, *,
        manager: str = "finetune", force: bool = False,
    ) -> Body:  # fmt: skip
        """Create an object, or change it to hold what `body` says (server-side apply)."""
        metadata = body["metadata"]
        place = namespace or metadata.get("namespace") or self.namespace
        params = _given(fieldManager=manager, force="true" if force else None)
        path = resource.path(place, metadata["name"])
        return await self._json("PATCH", resource, path, params, body, content_type=APPLY_PATCH)

    async def delete(
        self, resource: Resource, name: str, namespace: str | None = None, *,
        uid: str | None = None, grace: int | None = None,
    ) -> None:  # fmt: skip
        """Delete an object, if `uid` is still its own (else 409); raises ApiError (404 when there is none)."""
        options: Body = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        options |= {"preconditions": {"uid": uid}} if uid is not None else {}
        options |= {"gracePeriodSeconds": grace} if grace is not None else {}
        await self._json("DELETE", resource, resource.path(self._place(namespace), name), {}, options)

    # Streams

    async def watch(
        self, resource: Resource, namespace: str | None = None, *, labels: str | None = None,
        fields: str | None = None, resource_version: str | None = None, bookmarks: bool = False,
    ) -> AsyncGenerator[tuple[str, Body], None]:  # fmt: skip
        """Yield ADDED, MODIFIED and DELETED objects until the server ends the watch, as it does every few minutes.

        Raises ApiError for an ERROR event: 410 means that `resource_version` is too old, so list again.
        """
        params = _given(
            watch="true", timeoutSeconds=str(_WATCH_SECONDS), labelSelector=labels, fieldSelector=fields,
            resourceVersion=resource_version, allowWatchBookmarks="true" if bookmarks else None,
        )  # fmt: skip
        async with self._answer("GET", resource, resource.path(namespace), params, timeout=_WATCH, verb="watch") as got:
            async for event in events_of(lines_of(self._chunks(got))):
                yield event

    async def log(
        self, pod: str, namespace: str | None = None, container: str | None = None, *,
        follow: bool = False, tail_lines: int | None = None, timestamps: bool = False, since_time: str | None = None,
    ) -> AsyncGenerator[bytes, None]:  # fmt: skip
        """Yield a container's log in pieces, in no way cut into lines; `since_time` counts in whole seconds."""
        params = _given(
            container=container, follow="true" if follow else None, sinceTime=since_time,
            tailLines=None if tail_lines is None else str(tail_lines), timestamps="true" if timestamps else None,
        )  # fmt: skip
        path = PODS.path(self._place(namespace), pod, "log")
        async with self._answer("GET", PODS, path, params, timeout=_STREAM, verb="log") as answer:
            async for chunk in self._chunks(answer):
                yield chunk

    # HTTP

    async def _json(
        self, method: str, resource: Resource, path: str, params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None, *, content_type: str = "application/json", accept: str | None = None,
        verb: str | None = None,
    ) -> Body:  # fmt: skip
        data = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        headers = {"Accept": accept} if accept else {}
        headers |= {"Content-Type": content_type} if data is not None else {}
        async with self._answer(method, resource, path, params or {}, data, headers, verb=verb) as got:
            text = await self._text(got)
        found = json.loads(text)
        assert isinstance(found, dict)
        return found

    @asynccontextmanager
    async def _answer(
        self, method: str, resource: Resource, path: str, params: Mapping[str, str], data: bytes | None = None,
        headers: Mapping[str, str] = MappingProxyType({}), *, timeout: aiohttp.ClientTimeout = _REQUEST,
        verb: str | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:  # fmt: skip
        """Send a request; an answer of 401 is believed only after logging in anew."""
        used = self._access
        answer = await self._send(used, method, path, params, data, headers, timeout)
        self._count(verb or method.lower(), resource)
        if answer.status == 401:
            answer.release()
            used = await self._renewed(used)
            answer = await self._send(used, method, path, params, data, headers, timeout)
        try:
            if answer.status >= 400:
                raise answer_error(answer.status, answer.headers, await self._text(answer))
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
        try:
            return await self._session.request(
                method, used.server + path, params=params, data=data, headers=sent, timeout=timeout,
                ssl=used.tls if used.tls is not None else True, server_hostname=used.tls_name, proxy=used.proxy,
                allow_redirects=False,
            )  # fmt: skip
        except (aiohttp.ClientError, TimeoutError, OSError, ssl.SSLError) as error:
            raise self._unreachable(error) from error

    async def _text(self, answer: aiohttp.ClientResponse) -> str:
        return b"".join([chunk async for chunk in self._chunks(answer)]).decode(errors="replace")

    async def _chunks(self, answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        try:
            async for chunk in answer.content.iter_any():
                yield chunk
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: BaseException) -> Unreachable:
        why = "no answer in time" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
        return Unreachable(f"the API server at {self._access.server} cannot be reached: {why}")

    async def _renewed(self, used: Access) -> Access:
        """Log in again, unless another request has done so meanwhile."""
        async with self._logging_in:
            if self._access is used:
                self._access = await asyncio.to_thread(self._login)
        return self._access

    def _open(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=_CONNECTIONS),
            headers={"User-Agent": self._agent, "Accept": "application/json"},
            trust_env=True,
        )

    def _place(self, namespace: str | None) -> str:
        return namespace or self.namespace

    def _count(self, verb: str, resource: Resource) -> None:
        key = verb, resource.plural
        self.requests[key] = self.requests.get(key, 0) + 1


def session_of(access: Access, agent: str) -> aiohttp.ClientSession:
    """Open a session that is logged in with `access`, for another library that wants one."""

    async def authorize(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        authorization = access.authorization()
        if authorization:
            request.headers["Authorization"] = authorization
        return await handler(request)

    connector = aiohttp.TCPConnector(limit=0, ssl=access.tls if access.tls is not None else True)
    return aiohttp.ClientSession(
        connector=connector, headers={"User-Agent": agent}, proxy=access.proxy, trust_env=True, middlewares=(authorize,)
    )


def _given(**params: str | None) -> dict[str, str]:
    return {name: value for name, value in params.items() if value is not None}
