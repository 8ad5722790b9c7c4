"""Everything that happens in the cluster, read from the store itself: no API server, cache or operator in between."""

import base64
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

Body = dict[str, Any]

STORED_AS_JSON: Final = ("--storage-media-type=application/json", "--etcd-compaction-interval=0")
"""Flags of the API server by which its store can be read by others, from the first revision to the last."""
_ROOT: Final = "/registry/"
_KINDS: Final = {
    "pods": "Pod",
    "finetune.dev": "FinetuneJob",
    "events": "Event",
    "minions": "Node",
    "configmaps": "ConfigMap",
    "networkpolicies": "NetworkPolicy",
    "services": "Service",
}
_LONGEST_LINE: Final = 2**26


@dataclass(frozen=True)
class Happening:
    """One write to the store."""

    at: int
    """The store's revision, which counts all kinds of objects together."""
    kind: str
    name: str
    body: Body
    """The object as it is now, or as it was when it is gone."""
    created: bool = False
    gone: bool = False


async def happenings(store: str, namespace: str, since: int) -> AsyncIterator[list[Happening]]:
    """Yield what happens in a namespace and to nodes from revision `since` on; raises aiohttp.ClientError."""
    end = _ROOT[:-1] + chr(ord(_ROOT[-1]) + 1)
    asked = {"key": _text(_ROOT), "range_end": _text(end), "start_revision": str(since), "prev_kv": True}
    timeout = aiohttp.ClientTimeout(total=None)
    async with (
        aiohttp.ClientSession(timeout=timeout, read_bufsize=_LONGEST_LINE) as session,
        session.post(f"{store}/v3/watch", json={"create_request": asked}) as answer,
    ):
        answer.raise_for_status()
        while line := await answer.content.readline():
            result = json.loads(line)["result"]
            yield [one for event in result.get("events", ()) for one in _read(event, namespace)]


def _read(event: Body, namespace: str) -> Iterator[Happening]:
    path = _plain(event["kv"]["key"]).removeprefix(_ROOT).split("/")
    kind = _KINDS.get(path[0])
    if kind is None or (kind != "Node" and namespace not in path) or (kind == "Service" and path[1] != "specs"):
        return
    gone = event.get("type") == "DELETE"
    pair = event.get("prev_kv", {}) if gone else event["kv"]
    if "value" not in pair:
        return
    at = int(event["kv"]["mod_revision"])
    created = not gone and event["kv"]["create_revision"] == event["kv"]["mod_revision"]
    yield Happening(at, kind, path[-1], json.loads(_plain(pair["value"])), created, gone)


def _text(plain: str) -> str:
    return base64.b64encode(plain.encode()).decode()


def _plain(text: str) -> str:
    return base64.b64decode(text).decode()
