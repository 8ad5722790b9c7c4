"""Notes when objects change and when steps are taken, all by the monotonic clock of this machine."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from finetune_operator.cluster.client import Client
from finetune_operator.cluster.resources import Resource

Body = dict[str, Any]
Place = tuple[Resource, str | None]
"""A kind of object, and the namespace in which it is watched; None: in all."""

_PAUSE: Final = 0.01
_READY_SECONDS: Final = 30.0


@dataclass(frozen=True)
class Sighting:
    """One change of one object, and when the API server told it."""

    at: float
    change: str
    """ADDED, MODIFIED or DELETED."""
    body: Body

    @property
    def kind(self) -> str:
        """The object's kind."""
        return str(self.body["kind"])

    @property
    def name(self) -> str:
        """The object's name."""
        return str(self.body["metadata"]["name"])


@dataclass
class Sightings:
    """What was seen so far; filled by a thread of its own."""

    seen: list[Sighting] = field(default_factory=list)
    error: BaseException | None = None
    """Why nothing more is seen."""

    def first(self, kind: str, holds: Callable[[Sighting], bool], since: float) -> float | None:
        """Return when something of this kind was first so, at `since` or later; raises what ended the watch."""
        if self.error is not None:
            raise self.error
        return next((one.at for one in list(self.seen) if one.at >= since and one.kind == kind and holds(one)), None)


class Steps:
    """Follows the metrics of a run, which name each step's attempt; the trainer writes a line as a step ends."""

    def __init__(self, file: Path) -> None:
        self.at: dict[tuple[int, int], float] = {}
        """When the step of an attempt was first seen."""
        self._file, self._inode, self._offset = file, 0, 0

    def look(self, now: float) -> None:
        """Read what was written since the last look."""
        try:
            inode = self._file.stat().st_ino
            if inode != self._inode:  # a new attempt writes the file anew
                self._inode, self._offset = inode, 0
            with self._file.open("rb") as file:
                file.seek(self._offset)
                text = file.read()
        except FileNotFoundError:
            return
        whole = text[: text.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.splitlines():
            self._note(json.loads(line), now)

    def first(self, attempt: int) -> tuple[int, float] | None:
        """Return the number and the moment of an attempt's first step."""
        found = [(step, at) for (owner, step), at in list(self.at.items()) if owner == attempt]
        return min(found, default=None)

    def last(self, attempt: int) -> int:
        """Return the number of an attempt's last step so far, 0 without one."""
        return max((step for owner, step in list(self.at) if owner == attempt), default=0)

    def _note(self, line: Body, now: float) -> None:
        if line.get("event") != "eval":
            self.at.setdefault((line["attempt"], line["step"]), now)


@contextmanager
def following(file: Path) -> Iterator[Steps]:
    """Follow a metrics file while the block runs."""
    steps, stop = Steps(file), threading.Event()

    def follow() -> None:
        while not stop.wait(_PAUSE):
            steps.look(time.monotonic())

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield steps
    finally:
        stop.set()
        thread.join()


@contextmanager
def watching(kubeconfig: Path, places: Sequence[Place]) -> Iterator[Sightings]:
    """Watch kinds of objects from a thread of its own while the block runs; what was there before is not told."""
    sightings, stop, ready = Sightings(), threading.Event(), threading.Event()

    async def follow() -> None:
        async with Client.from_kubeconfig(kubeconfig, None) as client:
            since = [(await client.list(resource, where)).resource_version for resource, where in places]
            each = zip(places, since, strict=True)
            tasks = [asyncio.create_task(_follow(client, *place, version, sightings)) for place, version in each]
            ready.set()
            while not stop.is_set():
                await asyncio.sleep(0.05)
                sightings.error = next((task.exception() for task in tasks if task.done()), None)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0.25)  # aiohttp closes TLS connections a little after their session

    thread = threading.Thread(target=lambda: asyncio.run(follow()), daemon=True)
    thread.start()
    if not ready.wait(_READY_SECONDS):
        raise TimeoutError("the API server did not begin to tell what changes")
    try:
        yield sightings
    finally:
        stop.set()
        thread.join(_READY_SECONDS)


async def _follow(client: Client, resource: Resource, where: str | None, since: str, into: Sightings) -> None:
    while True:
        async for change, body in client.watch(resource, where, resource_version=since):
            since = body["metadata"]["resourceVersion"]
            into.seen.append(Sighting(time.monotonic(), change, body))
