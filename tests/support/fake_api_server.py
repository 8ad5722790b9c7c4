"""An API server in one dictionary: list, watch, create, patch, delete, with their refusals and versions, over HTTP."""

import asyncio
import copy
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from finetune_operator.cluster.access import Access
from finetune_operator.cluster.client import Client
from finetune_operator.cluster.resources import BY_KIND, COSCHEDULING_GROUPS, Resource

Body = dict[str, Any]
Key = tuple[str, str, str]

CREATED = "2026-01-01T00:00:00Z"
BY_PLURAL = {resource.plural: resource for resource in (*BY_KIND.values(), COSCHEDULING_GROUPS)}
DISCOVERED = (
    *BY_KIND.values(),
    Resource("", "v1", "namespaces", "Namespace", namespaced=False),
    Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False),
)
"""kopf does not begin before it has found namespaces and definitions among the kinds."""


@dataclass
class Fault:
    """An answer given instead of doing what was asked."""

    method: str
    plural: str
    code: int
    reason: str = "Refused"
    message: str = "no"
    times: int = 1
    headers: Mapping[str, str] = field(default_factory=dict)
    after: bool = False
    """Do it all the same: the answer alone is lost."""


@dataclass(frozen=True)
class Request:
    """What was asked."""

    method: str
    plural: str
    name: str | None
    query: Mapping[str, str]
    body: Body
    headers: Mapping[str, str]


class FakeApiServer:
    """Holds objects as an API server does; `url` is where it listens."""

    def __init__(self) -> None:
        self.objects: dict[Key, Body] = {}
        self.requests: list[Request] = []
        self.faults: list[Fault] = []
        self.version = 100
        self.oldest = 0
        """Versions before this one are forgotten: a watch from there ends with 410."""
        self.history: list[tuple[int, str, str, Body]] = []
        self.url = ""
        self.token: str | None = None
        """What every request has to carry, when it is set."""
        self.groups = sorted({(one.group, one.version) for one in DISCOVERED})
        self.break_watches = False
        """Every watch ends with an error that is not about versions."""
        self.broken_kind = ""
        """So do the watches of this kind, by its plural."""
        self.delay: Callable[[], float] = lambda: 0.0
        self._changed = asyncio.Condition()
        self._streams: set[asyncio.Task[Any]] = set()

    # For tests

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["FakeApiServer"]:
        """Listen on a free port."""
        app = web.Application(client_max_size=2**24)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = site.name if ":0" not in site.name else f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            for stream in list(self._streams):
                stream.cancel()
            await runner.cleanup()

    def access(self) -> Access:
        """How it is reached."""
        return Access(self.url, namespace="team", authorization=lambda: self.token and f"Bearer {self.token}")

    def client(self) -> Client:
        """A client of it."""
        return Client(self.access)

    def of(self, plural: str) -> list[Body]:
        """All objects of a kind, by name."""
        return [body for key, body in sorted(self.objects.items()) if key[0] == plural]

    def get(self, plural: str, name: str, namespace: str = "team") -> Body:
        """One object."""
        return self.objects[plural, namespace, name]

    def count(self, method: str, plural: str) -> int:
        """How often something was asked."""
        return sum((one.method, one.plural) == (method, plural) for one in self.requests)

    def fail(self, method: str, plural: str, code: int, **more: Any) -> None:
        """Refuse the next request of this kind."""
        self.faults.append(Fault(method, plural, code, **more))

    def put(self, plural: str, body: Mapping[str, Any], namespace: str = "team") -> Body:
        """Somebody creates or changes an object."""
        resource = BY_PLURAL[plural]
        made: Body = copy.deepcopy(dict(body))
        metadata = made["metadata"]
        if resource.namespaced:
            metadata.setdefault("namespace", namespace)
        key = plural, metadata.get("namespace", ""), metadata["name"]
        known = self.objects.get(key)
        metadata.setdefault("uid", known["metadata"]["uid"] if known else f"uid-{self.version + 1}")
        metadata.setdefault("creationTimestamp", CREATED)
        metadata.setdefault("generation", 1)
        made.setdefault("kind", resource.kind)
        made.setdefault("apiVersion", resource.api_version)
        self._record("MODIFIED" if known else "ADDED", key, made)
        return made

    def change(self, plural: str, name: str, change: Callable[[Body], None], namespace: str = "team") -> Body:
        """Somebody changes an object."""
        body = copy.deepcopy(self.objects[plural, namespace, name])
        change(body)
        self._record("MODIFIED", (plural, namespace, name), body)
        return body

    def remove(self, plural: str, name: str, namespace: str = "team") -> None:
        """An object goes."""
        key = plural, namespace, name
        body = copy.deepcopy(self.objects.pop(key))
        self._record("DELETED", key, body)

    def forget_history(self) -> None:
        """Watches that are not up to date have to list again."""
        self.oldest = self.version + 1
        self.history.clear()

    def cut_streams(self) -> None:
        """All watches end."""
        for stream in list(self._streams):
            stream.cancel()

    # HTTP

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if self.token is not None and request.headers.get("Authorization") != f"Bearer {self.token}":
            return _refusal(401, "Unauthorized", "Unauthorized")
        discovered = self._discovery(request.path)
        if discovered is not None:
            return web.json_response(discovered)
        try:
            resource, namespace, name, subresource = _parse(request.path)
        except KeyError:
            return _refusal(404, "NotFound", "the server could not find the requested resource")
        text = await request.text()
        body: Body = json.loads(text) if text else {}
        asked = Request(request.method, resource.plural, name, dict(request.query), body, dict(request.headers))
        self.requests.append(asked)
        await asyncio.sleep(self.delay())
        fault = self._fault(asked)
        if fault is not None and not fault.after:
            return _refusal(fault.code, fault.reason, fault.message, fault.headers)
        if request.method == "GET" and name is None and request.query.get("watch"):
            return await self._watch(request, resource, namespace)
        answer = self._answer(asked, resource, namespace, subresource)
        if fault is not None:
            return _refusal(fault.code, fault.reason, fault.message, fault.headers)
        return answer

    def _answer(
        self, asked: Request, resource: Resource, namespace: str | None, subresource: str | None
    ) -> web.Response:
        place = namespace or ""
        if asked.method == "GET" and asked.name is None:
            return self._list(asked, resource, namespace)
        if asked.method == "POST":
            return self._create(resource, place, asked.body)
        key = resource.plural, place, asked.name or ""
        if key not in self.objects:
            return _refusal(404, "NotFound", f'{resource.plural} "{asked.name}" not found')
        if asked.method == "GET":
            return web.json_response(self.objects[key])
        if asked.method in ("PATCH", "PUT"):
            return self._change(key, asked, subresource)
        return self._delete(key, asked.body)

    def _list(self, asked: Request, resource: Resource, namespace: str | None) -> web.Response:
        found = list(self._selected(asked.query, resource, namespace))
        stripped = [{key: value for key, value in body.items() if key not in ("kind", "apiVersion")} for body in found]
        start, limit = int(asked.query.get("continue") or 0), int(asked.query.get("limit") or 0)
        page = stripped[start : start + limit] if limit else stripped[start:]
        more = str(start + limit) if limit and start + limit < len(stripped) else None
        metadata = {"resourceVersion": str(self.version), "continue": more}
        return web.json_response({"kind": f"{resource.kind}List", "apiVersion": resource.api_version,
                                  "metadata": metadata, "items": page})  # fmt: skip

    def _selected(self, query: Mapping[str, str], resource: Resource, namespace: str | None) -> Iterator[Body]:
        for (plural, place, _), body in sorted(self.objects.items()):
            if plural == resource.plural and namespace in (None, place) and _matches(body, query):
                yield body

    def _create(self, resource: Resource, namespace: str, body: Body) -> web.Response:
        key = resource.plural, namespace, body["metadata"]["name"]
        if key in self.objects:
            return _refusal(409, "AlreadyExists", f'{resource.plural} "{key[2]}" already exists')
        body["metadata"] |= {"uid": f"uid-{self.version + 1}", "creationTimestamp": CREATED, "generation": 1}
        body["metadata"].setdefault("namespace", namespace)
        if resource.plural == "pods":
            body["status"] = {"phase": "Pending"}
        self._record("ADDED", key, body)
        return web.json_response(body, status=201)

    def _change(self, key: Key, asked: Request, subresource: str | None) -> web.Response:
        known = self.objects[key]
        wanted = (asked.body.get("metadata") or {}).get("resourceVersion")
        if wanted and wanted != known["metadata"]["resourceVersion"]:
            return _refusal(409, "Conflict", "the object has been modified; please apply your changes to the latest")
        body = copy.deepcopy(asked.body) if asked.method == "PUT" else merged(known, asked.body)
        if subresource == "status":
            body = {**copy.deepcopy(known), "status": body.get("status")}
        body["metadata"] = {**known["metadata"], **body.get("metadata", {})}
        if body != known:
            self._record("MODIFIED", key, body)
        return web.json_response(self.objects[key])

    def _delete(self, key: Key, options: Body) -> web.Response:
        known = self.objects[key]
        uid = (options.get("preconditions") or {}).get("uid")
        if uid and uid != known["metadata"]["uid"]:
            return _refusal(409, "Conflict", "the UID in the precondition does not match")
        ended = (known.get("status") or {}).get("phase") in ("Succeeded", "Failed")
        if key[0] == "pods" and options.get("gracePeriodSeconds") != 0 and not ended:
            self.change(*_named(key), lambda body: body["metadata"].update(deletionTimestamp=CREATED), key[1])
        else:
            self.remove(*_named(key), key[1])
        return web.json_response({"kind": "Status", "status": "Success"})

    async def _watch(self, request: web.Request, resource: Resource, namespace: str | None) -> web.StreamResponse:
        since = int(request.query.get("resourceVersion") or self.version)
        answer = web.StreamResponse()
        task = asyncio.current_task()
        assert task is not None
        self._streams.add(task)
        try:
            await answer.prepare(request)
            while True:
                if self.break_watches or resource.plural == self.broken_kind:
                    broken = {"kind": "Status", "code": 500, "reason": "InternalError", "message": "broken"}
                    await answer.write(json.dumps({"type": "ERROR", "object": broken}).encode() + b"\n")
                    return answer
                if since < self.oldest - 1:
                    gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
                    await answer.write(json.dumps({"type": "ERROR", "object": gone}).encode() + b"\n")
                    return answer
                for event in self._events(since, request.query, resource, namespace):
                    await answer.write(json.dumps(event).encode() + b"\n")
                since = self.version
                async with self._changed:
                    await self._changed.wait_for(lambda seen=since: self.version > seen)  # type: ignore[misc]
        except (asyncio.CancelledError, ConnectionError):
            return answer
        finally:
            self._streams.discard(task)

    def _events(
        self, since: int, query: Mapping[str, str], resource: Resource, namespace: str | None
    ) -> Iterator[Body]:
        for version, kind, plural, body in self.history:
            place = body["metadata"].get("namespace", "")
            if version > since and plural == resource.plural and namespace in (None, place) and _matches(body, query):
                yield {"type": kind, "object": body}

    def _record(self, kind: str, key: Key, body: Body) -> None:
        self.version += 1
        body["metadata"]["resourceVersion"] = str(self.version)
        if kind != "DELETED":
            self.objects[key] = body
        self.history.append((self.version, kind, key[0], copy.deepcopy(body)))
        task = asyncio.ensure_future(self._wake())
        self._streams.add(task)
        task.add_done_callback(self._streams.discard)

    async def _wake(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _fault(self, asked: Request) -> Fault | None:
        for fault in self.faults:
            if (fault.method, fault.plural) == (asked.method, asked.plural) and fault.times > 0:
                fault.times -= 1
                return fault
        return None

    def _discovery(self, path: str) -> Body | None:
        """What clients ask before anything else: which groups and kinds there are."""
        parts = path.strip("/").split("/")
        if parts == ["api"]:
            return {"kind": "APIVersions", "versions": ["v1"]}
        if parts == ["apis"]:
            named = [(group, _version(group, version)) for group, version in self.groups if group]
            groups = [{"name": group, "versions": [one], "preferredVersion": one} for group, one in named]
            return {"kind": "APIGroupList", "groups": groups}
        if parts[0] == "api" and len(parts) == 2:
            return self._resources("", parts[1])
        if parts[0] == "apis" and len(parts) == 3:
            return self._resources(parts[1], parts[2])
        return None

    def _resources(self, group: str, version: str) -> Body:
        found = [one for one in DISCOVERED if (one.group, one.version) == (group, version)]
        verbs = ["create", "delete", "get", "list", "patch", "update", "watch"]
        listed = [{"name": one.plural, "singularName": one.kind.lower(), "kind": one.kind, "verbs": verbs,
                   "namespaced": one.namespaced} for one in found]  # fmt: skip
        return {
            "kind": "APIResourceList",
            "groupVersion": f"{group}/{version}" if group else version,
            "resources": listed,
        }


def merged(known: Any, patch: Any) -> Any:
    """What a JSON merge patch makes of a value (RFC 7396)."""
    if not isinstance(patch, Mapping):
        return copy.deepcopy(patch)
    result = dict(known) if isinstance(known, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return copy.deepcopy(result)


def _version(group: str, version: str) -> Body:
    return {"groupVersion": f"{group}/{version}", "version": version}


def _named(key: Key) -> tuple[str, str]:
    return key[0], key[2]


def _parse(path: str) -> tuple[Resource, str | None, str | None, str | None]:
    parts = path.strip("/").split("/")
    parts = parts[2:] if parts[0] == "api" else parts[3:]
    namespace = None
    if parts[0] == "namespaces":
        namespace, parts = parts[1], parts[2:]
    plural, name, subresource = (*parts, None, None)[:3]
    return BY_PLURAL[str(plural)], namespace, name, subresource


def _matches(body: Body, query: Mapping[str, str]) -> bool:
    labels = body["metadata"].get("labels") or {}
    return all(_selects(term, labels) for term in query.get("labelSelector", "").split(",") if term) and all(
        _selects(term, {f"metadata.{key}": value for key, value in body["metadata"].items()})
        for term in query.get("fieldSelector", "").split(",")
        if term
    )


def _selects(term: str, values: Mapping[str, str]) -> bool:
    if "!=" in term:
        name, wanted = term.split("!=")
        return values.get(name) != wanted
    name, equals, wanted = term.partition("=")
    return values.get(name) == wanted if equals else name in values


def _refusal(code: int, reason: str, message: str, headers: Mapping[str, str] | None = None) -> web.Response:
    status = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "code": code,
        "reason": reason,
        "message": message,
    }
    return web.json_response(status, status=code, headers=headers)
