"""A queue of keys: each is in it once, worked on by one worker at a time, and comes back later after a failure.

As the work queue of client-go.
"""

import asyncio
import logging
import math
import random
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

log = logging.getLogger(__name__)

_JITTER: Final = 0.25


@dataclass(frozen=True)
class Backoff:
    """How long a key waits after failures in a row: `base`, twice that, and so on, at most `most` seconds."""

    base: float = 0.1
    most: float = 60.0
    jitter: Callable[[], float] = field(default=random.random)

    def seconds(self, failures: int) -> float:
        """Return the wait after so many failures; a little random, so that many do not return together."""
        wait = min(self.most, self.base * 2 ** min(failures - 1, 40))
        return float(wait * (1 - _JITTER * self.jitter()))


class Again(Exception):
    """Raised by a handler that failed for a known cause: try again, not before `after` seconds, and within `most`."""

    def __init__(self, why: str, after: float | None = None, most: float = math.inf) -> None:
        super().__init__(why)
        self.after, self.most = after, most


class WorkQueue(Generic[Key]):
    """Hands keys to workers."""

    def __init__(self, name: str, backoff: Backoff | None = None) -> None:
        self.name = name
        self.retries = 0
        """How often a key failed, in all."""
        self._backoff = backoff or Backoff()
        self._waiting: OrderedDict[Key, None] = OrderedDict()
        self._first: set[Key] = set()
        """Those of the waiting that overtake the others."""
        self._working: dict[Key, float] = {}
        self._dirty: set[Key] = set()
        """Added while being worked on."""
        self._timers: dict[Key, tuple[float, asyncio.TimerHandle]] = {}
        self._held: set[Key] = set()
        """The server asked for patience, so no news makes them due earlier."""
        self._failures: dict[Key, int] = {}
        self._ready = asyncio.Event()
        self._closed = False

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def load(self) -> int:
        """How many keys are worked on, or wait to be."""
        return len(self._waiting) + len(self._working)

    @property
    def later(self) -> int:
        """How many keys come back by themselves."""
        return len(self._timers)

    def oldest_work(self) -> float:
        """Return for how many seconds the slowest worker has been at its key."""
        return max((_now() - since for since in self._working.values()), default=0.0)

    def add(self, key: Key, *, first: bool = False) -> None:
        """Have the key worked on as soon as a worker is free, before all others if it is to be `first`."""
        if self._closed or key in self._held:
            return
        if key in self._working:
            self._dirty.add(key)
            return
        self._waiting[key] = None
        if first and key not in self._first:
            self._first.add(key)
            self._waiting.move_to_end(key, last=False)
        self._ready.set()

    def add_after(self, key: Key, seconds: float) -> None:
        """Have the key worked on in so many seconds, unless it is due earlier anyway."""
        if seconds <= 0:
            self.add(key)
            return
        due, known = _now() + seconds, self._timers.get(key)
        if self._closed or (known is not None and known[0] <= due):
            return
        if known is not None:
            known[1].cancel()
        self._timers[key] = due, asyncio.get_running_loop().call_later(seconds, self._due, key)

    def forget(self, key: Key) -> None:
        """Drop the timer and the failures of a key."""
        self._failures.pop(key, None)
        self._held.discard(key)
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer[1].cancel()

    async def work(self, workers: int, handle: Callable[[Key], Awaitable[float | None]]) -> None:
        """Work with so many workers until cancelled; `handle` returns after how many seconds a key is due again."""
        async with asyncio.TaskGroup() as group:
            for number in range(workers):
                group.create_task(self._worker(handle), name=f"{self.name}-{number}")

    def close(self) -> None:
        """Take nothing any more."""
        self._closed = True
        self._waiting.clear()
        self._first.clear()
        for _, timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    async def _worker(self, handle: Callable[[Key], Awaitable[float | None]]) -> None:
        while True:
            key = await self._next()
            try:
                await self._one(key, handle)
            finally:
                del self._working[key]
                if key in self._dirty:
                    self._dirty.discard(key)
                    self.add(key)

    async def _one(self, key: Key, handle: Callable[[Key], Awaitable[float | None]]) -> None:
        try:
            after = await handle(key)
        except Again as error:
            self._failed(key, error.after, error.most)
            log.info("%s; trying again", error, extra={"key": str(key), "failures": self._failures[key]})
        except Exception:
            self._failed(key, None)
            log.exception("unexpected error; trying again", extra={"key": str(key)})
        else:
            self._failures.pop(key, None)
            if after is not None:
                self.add_after(key, after)

    def _failed(self, key: Key, after: float | None, most: float = math.inf) -> None:
        self.retries += 1
        self._failures[key] = self._failures.get(key, 0) + 1
        # What happened while the key was worked on does not shorten the wait: a failing key must not run hot.
        self._dirty.discard(key)
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer[1].cancel()
        self.add_after(key, max(after or 0.0, min(most, self._backoff.seconds(self._failures[key]))))
        if after:
            self._held.add(key)

    async def _next(self) -> Key:
        while not self._waiting:
            self._ready.clear()
            await self._ready.wait()
        key, _ = self._waiting.popitem(last=False)
        self._first.discard(key)
        self._working[key] = _now()
        return key

    def _due(self, key: Key) -> None:
        self._timers.pop(key, None)
        self._held.discard(key)
        self.add(key)


def _now() -> float:
    return asyncio.get_running_loop().time()
