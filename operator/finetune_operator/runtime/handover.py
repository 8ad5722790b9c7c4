"""Hands what another thread sees to the event loop, many things at a time: waking the loop costs more than a look."""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Handover(Generic[Item]):
    """Calls `take` in `loop` with everything that is put in from anywhere, in order."""

    def __init__(self, loop: asyncio.AbstractEventLoop, take: Callable[[Item], None]) -> None:
        self._loop, self._take = loop, take
        self._items: deque[Item] = deque()
        self._asked = False

    def put(self, item: Item) -> None:
        """Hand over one thing; it is dropped when the loop is closed."""
        self._items.append(item)
        if not self._asked:
            self._asked = True
            with suppress(RuntimeError):  # the loop is closed: we are leaving
                self._loop.call_soon_threadsafe(self._take_all)

    def _take_all(self) -> None:
        self._asked = False  # before the items are counted: who comes later asks again
        for _ in range(len(self._items)):
            self._take(self._items.popleft())
