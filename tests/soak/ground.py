"""What all jobs share: who may strike when, so that one attempt suffers one fault and its true cause is known."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

from soak.scene import Scene


class Overdue(Exception):
    """Something did not come in time."""


class Ground:
    """News of the scene, and which nodes are in use or about to be lost."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self._news = asyncio.Condition()
        self._busy: Counter[str] = Counter()
        """Nodes on which an act is being played."""
        self._closing: Counter[str] = Counter()
        self._writers = 0
        self.api_away_now = False

    async def moved(self) -> None:
        """Tell everybody to look again."""
        async with self._news:
            self._news.notify_all()

    async def until(self, holds: Callable[[], bool], what: str, seconds: float) -> None:
        """Wait for something to hold; raises Overdue."""
        try:
            async with asyncio.timeout(seconds), self._news:
                await self._news.wait_for(holds)
        except TimeoutError:
            raise Overdue(f"{what} was not seen within {seconds:.0f} s") from None

    @asynccontextmanager
    async def acting(self, nodes: Iterable[str], due: Callable[[], bool], seconds: float) -> AsyncIterator[None]:
        """Keep nodes from being lost while an act is played on them, and until its end is recorded.

        Nobody waits for them any longer than the act is `due`: one of them may have been lost for good.
        """
        wanted = set(nodes)

        def free() -> bool:
            return not due() or not any(self._closing[node] for node in wanted)

        await self.until(free, f"the end of the faults of {sorted(wanted)}", seconds)
        self._busy.update(wanted)
        try:
            yield
        finally:
            self._busy.subtract(wanted)
            await self.moved()

    @asynccontextmanager
    async def losing(self, node: str, seconds: float) -> AsyncIterator[None]:
        """Wait until nobody acts on a node, and keep everybody from it."""
        self._closing[node] += 1
        try:
            await self.until(lambda: not self._busy[node], f"peace on {node}", seconds)
            yield
        finally:
            self._closing[node] -= 1
            await self.moved()

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """Several writes that belong together, with an API server that answers."""
        await self.until(lambda: not self.api_away_now, "the API server", 180)
        self._writers += 1
        try:
            yield
        finally:
            self._writers -= 1
            await self.moved()

    @asynccontextmanager
    async def api_away(self) -> AsyncIterator[None]:
        """Wait until no writes that belong together are on their way, and hold back new ones."""
        self.api_away_now = True
        try:
            await self.until(lambda: not self._writers, "the end of writes", 180)
            yield
        finally:
            self.api_away_now = False
            await self.moved()
