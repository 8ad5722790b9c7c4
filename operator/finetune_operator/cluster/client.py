"""Talks to the API server in raw JSON: typed models would cost ten times the time and four times the memory."""

from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Self

import aiohttp

from finetune_operator.cluster import access as access_of
from finetune_operator.cluster import kubeconfig
from finetune_operator.cluster.access import Login
from finetune_operator.cluster.connection import Connection
from finetune_operator.cluster.errors import ApiError, Fenced, LoginError, Unreachable
from finetune_operator.cluster.resources import PODS, Resource
from finetune_operator.cluster.watch_lines import events_of, lines_of

__all__ = ["ApiError", "Body", "Client", "Fenced", "Listing", "LoginError", "Unreachable"]

Body = dict[str, Any]

MERGE_PATCH: Final = "application/merge-patch+json"
APPLY_PATCH: Final = "application/apply-patch+yaml"
METADATA: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
"""Asks for a list of metadata alone, which is a fraction of the objects."""

_PAGE: Final = 500
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
        self._connection, self._agent = Connection(login, agent), agent

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
        return self._connection.access.namespace

    @property
    def server(self) -> str:
        """URL of the API server."""
        return self._connection.access.server

    @property
    def log_in(self) -> Login:
        """How this client logs in, for those who open connections of their own."""
        return self._connection.login

    @property
    def requests(self) -> Mapping[tuple[str, str], int]:
        """How many requests were sent, by verb and plural name."""
        return self._connection.requests

    def guard(self, guard: Callable[[], None]) -> None:
        """Ask `guard` before anything is changed from now on; it raises Fenced when that is over."""
        self._connection.guard = guard

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End all connections."""
        await self._connection.close()

    # Objects

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> Body:
        """Return one object; raises ApiError (404 when there is none)."""
        return await self._connection.json("GET", resource, resource.path(self._place(namespace), name))

    async def list(
        self, resource: Resource, namespace: str | None = None, *, labels: str | None = None,
        fields: str | None = None, resource_version: str | None = None, metadata_only: bool = False,
        keep: Callable[[Body], Body] = lambda body: body,
    ) -> Listing:  # fmt: skip
        """Return the objects of one namespace, or of all when it is None; version "0" asks the server's cache.

        Of each object only what `keep` returns is ever held beside the page that it came in.
        """
        chosen = _given(labelSelector=labels, fieldSelector=fields, resourceVersion=resource_version)
        items: list[Body] = []
        page: dict[str, str] = {} if resource_version else {"limit": str(_PAGE)}
        while True:
            params = chosen | page
            found = await self._connection.json(
                "GET",
                resource,
                resource.path(namespace),
                params,
                verb="list",
                accept=METADATA if metadata_only else None,
            )
            # A list names its items' kind once, for all of them; metadata alone says another.
            named = {"kind": resource.kind, "apiVersion": resource.api_version}
            items += [keep(item | named) for item in found.get("items") or []]
            metadata = found.get("metadata") or {}
            if not metadata.get("continue"):
                break
            page = {"limit": str(_PAGE), "continue": metadata["continue"]}
        return Listing(items, str(metadata.get("resourceVersion") or ""))

    async def create(
        self, resource: Resource, body: Mapping[str, Any], namespace: str | None = None, *, dry_run: bool = False
    ) -> Body:
        """Create an object in `namespace`, else in its own, else in the default one; raises ApiError."""
        place = namespace or (body.get("metadata") or {}).get("namespace") or self.namespace
        params = _given(dryRun="All" if dry_run else None, fieldManager=self._agent)
        return await self._connection.json("POST", resource, resource.path(place), params, body)

    async def patch(
        self, resource: Resource, name: str, patch: Mapping[str, Any], namespace: str | None = None, *,
        subresource: str | None = None, dry_run: bool = False,
    ) -> Body:  # fmt: skip
        """Merge `patch` into an object; with a resourceVersion in it, only into that version (else 409)."""
        path = resource.path(self._place(namespace), name, subresource)
        params = _given(dryRun="All" if dry_run else None, fieldManager=self._agent)
        return await self._connection.json("PATCH", resource, path, params, patch, content_type=MERGE_PATCH)

    async def patch_status(
        self, resource: Resource, name: str, patch: Mapping[str, Any], namespace: str | None = None
    ) -> Body:
        """Merge `patch`, which holds `status`, into an object's status; a null in it removes a key."""
        return await self.patch(resource, name, patch, namespace, subresource="status")

    async def replace(self, resource: Resource, body: Mapping[str, Any], *, subresource: str | None = None) -> Body:
        """Put `body` in the place of the version that it was read as; raises ApiError (409 when that is gone)."""
        metadata = body["metadata"]
        path = resource.path(metadata.get("namespace"), metadata["name"], subresource)
        return await self._connection.json("PUT", resource, path, _given(fieldManager=self._agent), body)

    async def apply(
        self, resource: Resource, body: Mapping[str, Any], namespace: str | None = None, *,
        manager: str = "finetune", force: bool = False,
    ) -> Body:  # fmt: skip
        """Create an object, or change it to hold what `body` says (server-side apply)."""
        metadata = body["metadata"]
        place = namespace or metadata.get("namespace") or self.namespace
        params = _given(fieldManager=manager, force="true" if force else None)
        path = resource.path(place, metadata["name"])
        return await self._connection.json("PATCH", resource, path, params, body, content_type=APPLY_PATCH)

    async def delete(
        self, resource: Resource, name: str, namespace: str | None = None, *,
        uid: str | None = None, grace: int | None = None,
    ) -> None:  # fmt: skip
        """Delete an object, if `uid` is still its own (else 409); raises ApiError (404 when there is none)."""
        options: Body = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        options |= {"preconditions": {"uid": uid}} if uid is not None else {}
        options |= {"gracePeriodSeconds": grace} if grace is not None else {}
        await self._connection.json("DELETE", resource, resource.path(self._place(namespace), name), {}, options)

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
        async with self._connection.answer(
            "GET", resource, resource.path(namespace), params, timeout=_WATCH, verb="watch"
        ) as got:
            async for event in events_of(lines_of(self._connection.chunks(got))):
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
        async with self._connection.answer("GET", PODS, path, params, timeout=_STREAM, verb="log") as answer:
            async for chunk in self._connection.chunks(answer):
                yield chunk

    def _place(self, namespace: str | None) -> str:
        return namespace or self.namespace


def _given(**params: str | None) -> dict[str, str]:
    return {name: value for name, value in params.items() if value is not None}
