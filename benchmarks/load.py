"""Puts many jobs on an API server at once, and notes when their pods and their ends are seen there."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from finetune_operator.cluster.client import Client
from finetune_operator.cluster.resources import PODS, Resource

Body = dict[str, Any]

SENDERS: Final = 16
"""Requests in flight at once, for bare pods and for jobs alike."""
_PATIENCE: Final = 600.0
_REST: Final = 0.02


@dataclass
class Seen:
    """When each thing was first seen, in seconds of one monotonic clock; job names are those of the benchmark."""

    applied: dict[str, float] = field(default_factory=dict)
    pods: dict[str, tuple[str, float]] = field(default_factory=dict)
    """Pod name: its job, and when it was there."""
    running: dict[str, float] = field(default_factory=dict)
    ended: dict[str, float] = field(default_factory=dict)
    complete: dict[str, float] = field(default_factory=dict)

    def pods_of(self, job: str) -> int:
        """How many pods of a job were seen."""
        return sum(owner == job for owner, _ in self.pods.values())


@dataclass(frozen=True)
class Kind:
    """A kind of job: how one is written, whose a pod is, and how its end is told."""

    resource: Resource
    body: Callable[[str], Body]
    owner: Callable[[Body], str | None]
    """The job's name that a pod bears."""
    is_complete: Callable[[Body], bool]


def is_condition_true(body: Mapping[str, Any], kind: str) -> bool:
    """Tell whether an object has a condition, and it holds."""
    conditions = (body.get("status") or {}).get("conditions") or []
    return any(one["type"] == kind and one["status"] == "True" for one in conditions)


class Watching:
    """Watches pods, and jobs where there are any, inside of an `async with` block."""

    def __init__(self, client: Client, namespace: str, kind: Kind | None = None) -> None:
        self.seen = Seen()
        self._client, self._namespace, self._kind = client, namespace, kind
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "Watching":
        self._tasks.append(asyncio.create_task(await self._from_now(PODS, self._note_pod)))
        if self._kind:
            self._tasks.append(asyncio.create_task(await self._from_now(self._kind.resource, self._note_job)))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task

    async def until(self, holds: Callable[[Seen], bool], what: str) -> None:
        """Wait until something was seen; raises TimeoutError that says what was not."""
        end = time.monotonic() + _PATIENCE
        while not holds(self.seen):
            for task in self._tasks:
                if task.done():
                    task.result()
            if time.monotonic() > end:
                raise TimeoutError(f"{what} was not seen within {_PATIENCE:.0f} s")
            await asyncio.sleep(_REST)

    async def _from_now(self, resource: Resource, note: Callable[[str, Body, float], None]) -> Any:
        version = (await self._client.list(resource, self._namespace)).resource_version

        async def follow() -> None:
            since = version
            while True:  # the server ends the watch of a client that falls behind; it goes on where it was
                async for kind, body in self._client.watch(resource, self._namespace, resource_version=since):
                    since = body["metadata"]["resourceVersion"]
                    note(kind, body, time.monotonic())

        return follow()

    def _note_pod(self, kind: str, body: Body, now: float) -> None:
        name = body["metadata"]["name"]
        owner = self._kind.owner(body) if self._kind else name
        if owner is not None:
            self.seen.pods.setdefault(name, (owner, now))
        if (body.get("status") or {}).get("phase") in ("Running", "Succeeded"):
            self.seen.running.setdefault(name, now)
        if (body.get("status") or {}).get("phase") == "Succeeded":
            self.seen.ended.setdefault(name, now)

    def _note_job(self, kind: str, body: Body, now: float) -> None:
        if self._kind and self._kind.is_complete(body):
            self.seen.complete.setdefault(body["metadata"]["name"], now)


async def create_all(client: Client, resource: Resource, bodies: Iterable[Body]) -> dict[str, float]:
    """Create objects, `SENDERS` at a time, and return when each was answered for."""
    answered: dict[str, float] = {}
    waiting = iter(bodies)

    async def send() -> None:
        for body in waiting:
            await client.create(resource, body)
            answered[body["metadata"]["name"]] = time.monotonic()

    await asyncio.gather(*(send() for _ in range(SENDERS)))
    return answered
