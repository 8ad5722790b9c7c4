"""Lists everything at the start, now and then, and whenever a watch may have missed something."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Final

from finetune_operator.cluster.client import ApiError, Client, Listing, Unreachable
from finetune_operator.cluster.resources import FINETUNE_JOBS, NODES, PODS, Resource
from finetune_operator.runtime.scope import CHILD_LABELS, POD_LABELS, Scope
from finetune_operator.runtime.store import Body, JobKey
from finetune_operator.runtime.world import SUPPORT, World

log = logging.getLogger(__name__)

INTERVAL: Final = 300.0
_JITTER: Final = 0.2
_SPREAD: Final = 30.0
"""Seconds over which all jobs are looked at after a resync."""
_SETTLE: Final = 2.0
"""Seconds between a watch's news and the list that completes it; many news make one list."""
_PAUSES: Final = (0.5, 1.0, 2.0)


class Resync:
    """Keeps the world's stores true to what lists say."""

    def __init__(
        self, client: Client, world: World, scope: Scope, *,
        look_at: Callable[[JobKey, float], None], beat: Callable[[], None] = lambda: None, interval: float = INTERVAL,
    ) -> None:  # fmt: skip
        self._client, self._world, self._scope = client, world, scope
        self._look_at, self._beat, self._interval = look_at, beat, interval
        self._asked = asyncio.Event()

    def ask(self) -> None:
        """Have everything listed soon."""
        self._asked.set()

    async def first(self) -> None:
        """List everything as it is now, and have every job looked at; raises ApiError or Unreachable."""
        await self._list_all()
        self._look_at_all(0.0)
        self._beat()

    async def work(self) -> None:
        """List again until cancelled."""
        failures = 0
        while True:
            asked = await self._wait(failures)
            try:
                await self._list_all()
            except (ApiError, Unreachable) as error:
                failures += 1
                log.warning("the cluster could not be listed: %s", error)
                continue
            failures = 0
            self._beat()
            if not asked:
                self._look_at_all(_SPREAD)

    async def _wait(self, failures: int) -> bool:
        """Wait until it is time; return whether somebody asked."""
        seconds = self._interval * (1 + _JITTER * (2 * random.random() - 1))
        if failures:
            seconds = min(seconds, 2.0**failures)
        try:
            await asyncio.wait_for(self._asked.wait(), seconds)
        except TimeoutError:
            return False
        await asyncio.sleep(_SETTLE)
        self._asked.clear()
        return True

    async def _list_all(self) -> None:
        # In pages, though the API server could answer from its cache with all at once: that is too much to hold.
        await self._list(FINETUNE_JOBS, None, self._scope.places())
        await self._list(PODS, POD_LABELS, self._scope.places())
        if self._scope.cluster_wide:
            await self._list(NODES, None, (None,))
        for resource in SUPPORT:
            try:
                await self._list(resource, CHILD_LABELS, self._scope.places())
            except ApiError as error:
                # Without a list, each create learns from its own answer what exists already.
                if error.code not in (403, 404):
                    raise
                log.debug("%s cannot be listed: %s", resource.plural, error)

    async def _list(self, resource: Resource, labels: str | None, places: Iterable[str | None]) -> None:
        fields = self._scope.fields() if resource.namespaced else None
        for place in places:
            listing = await self._insist(
                partial(
                    self._client.list,
                    resource,
                    place,
                    labels=labels,
                    fields=fields,
                    metadata_only=resource in SUPPORT,
                    keep=self._world.slim(resource),
                )
            )

            def covers(body: Body, place: str | None = place) -> bool:
                return place is None or body["metadata"].get("namespace") == place

            for key in self._world.sync(resource, listing.items, listing.resource_version, covers):
                self._look_at(key, 0.0)

    async def _insist(self, read: Callable[[], Awaitable[Listing]]) -> Listing:
        """Ask again for one list, instead of beginning with all of them anew."""
        for pause in _PAUSES:
            try:
                return await read()
            except Unreachable:
                await asyncio.sleep(pause)
            except ApiError as error:
                if not error.transient:
                    raise
                await asyncio.sleep(max(pause, error.retry_after or 0.0))
        return await read()

    def _look_at_all(self, spread: float) -> None:
        for body in self._world.jobs:
            metadata = body["metadata"]
            self._look_at(JobKey(metadata["namespace"], metadata["name"]), random.random() * spread)
