"""Everything that happens to one job and its pods, in the order in which the API server stored it."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import TOO_MANY_REQUESTS
from pathlib import Path
from typing import Any

from finetune_api.names import place_of
from finetune_api.status import JobStatus
from finetune_operator.cluster.client import ApiError, Client, Unreachable
from finetune_operator.cluster.resources import FINETUNE_JOBS, PODS, Resource

Body = dict[str, Any]


@dataclass(frozen=True)
class Happening:
    """One change; `at` is the store's revision, which counts all kinds of objects together."""

    at: int
    change: str
    """ADDED, MODIFIED or DELETED."""
    body: Body
    seen: float = field(default_factory=time.time)
    """When it was told here, in seconds of this machine's clock."""


@dataclass
class History:
    """What was seen so far."""

    happenings: list[Happening] = field(default_factory=list)
    problems: list[object] = field(default_factory=list)
    """Why it was not seen to the end."""

    def pods_of_attempt(self, number: int) -> list[Happening]:
        """Return what happened to the pods of an attempt."""
        return [one for one in self._of("Pod") if (place := _place(one.body)) is not None and place == number]

    def first_pod(self, attempt: int) -> int:
        """Return when the first pod of an attempt was there."""
        return min(one.at for one in self.pods_of_attempt(attempt))

    def last_end(self, attempt: int) -> int:
        """Return when the last pod of an attempt had ended or was gone."""
        ends: dict[str, int] = {}
        for one in self.pods_of_attempt(attempt):
            ended = one.change == "DELETED" or one.body["status"].get("phase") in ("Succeeded", "Failed")
            if ended:
                ends.setdefault(one.body["metadata"]["name"], one.at)
        names = {one.body["metadata"]["name"] for one in self.pods_of_attempt(attempt)}
        assert set(ends) == names, f"{names - set(ends)} never ended"
        return max(ends.values())

    def outcome_recorded(self, attempt: int) -> int:
        """Return when the status first told how an attempt ended."""
        for one in self._of("FinetuneJob"):
            found = [tried for tried in JobStatus.of(one.body).attempts if tried.number == attempt]
            if found and found[0].outcome is not None:
                return one.at
        raise AssertionError(f"the outcome of attempt {attempt} was never recorded")

    def first_deletion(self, attempt: int, *, besides: str) -> int | None:
        """Return when the first pod of an attempt was asked to go, apart from the one that the test took away."""
        asked = [
            one.at
            for one in self.pods_of_attempt(attempt)
            if one.body["metadata"]["name"] != besides
            and (one.change == "DELETED" or "deletionTimestamp" in one.body["metadata"])
        ]
        return min(asked, default=None)

    def _of(self, kind: str) -> list[Happening]:
        return sorted((one for one in self.happenings if one.body["kind"] == kind), key=lambda one: one.at)


@contextmanager
def watched(kubeconfig: Path, namespace: str) -> Iterator[History]:
    """Watch jobs and pods of a namespace from a thread of its own while the block runs."""
    history, stop, ready = History(), threading.Event(), threading.Event()

    async def follow() -> None:
        async with Client.from_kubeconfig(kubeconfig) as client:
            tasks = [asyncio.create_task(_follow(client, kind, namespace, history)) for kind in (FINETUNE_JOBS, PODS)]
            ready.set()
            while not stop.is_set():
                await asyncio.sleep(0.05)
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
            history.problems += [end for end in ends if not isinstance(end, asyncio.CancelledError)]
        await asyncio.sleep(0.25)  # aiohttp closes TLS connections a little after their session

    thread = threading.Thread(target=lambda: asyncio.run(follow()), daemon=True)
    thread.start()
    assert ready.wait(30)
    try:
        yield history
    finally:
        stop.set()
        thread.join(30)
    assert not history.problems, str(history.problems)


async def _follow(client: Client, resource: Resource, namespace: str, history: History) -> None:
    since: str | None = None
    while True:
        try:
            since = since or (await client.list(resource, namespace)).resource_version
            async for change, body in client.watch(resource, namespace, resource_version=since):
                since = body["metadata"]["resourceVersion"]
                history.happenings.append(Happening(int(since), change, body))
        except Unreachable:
            await asyncio.sleep(0.1)  # it goes on where it broke off
        except ApiError as error:
            if error.code != TOO_MANY_REQUESTS:
                raise
            await asyncio.sleep(error.retry_after or 0.5)  # the server still fills its cache


def _place(body: Body) -> int | None:
    place = place_of(body["metadata"].get("labels") or {})
    return place.attempt if place else None
