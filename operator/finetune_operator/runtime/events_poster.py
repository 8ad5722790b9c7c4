"""Posts Events about jobs, beside the work: never before the status is written, and never in its way."""

import asyncio
import hashlib
import logging
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from finetune_api.job import GROUP, KIND, VERSION
from finetune_api.names import MANAGER
from finetune_operator.cluster.client import ApiError, Client, Unreachable
from finetune_operator.cluster.resources import EVENTS
from finetune_operator.decision import Event
from finetune_operator.observed import SeenJob

Body = dict[str, Any]

log = logging.getLogger(__name__)

_NOTE: Final = 1024
"""What the API server takes of a note."""
_SERIES: Final = timedelta(minutes=10)
"""The same said again within this time is counted, not repeated."""
_POLITE: Final = 0.1
_POLITE_LOOKS: Final = 20
_KNOWN: Final = 2000
_QUEUED: Final = 10_000
"""Events are for people; when more than this wait, the oldest are dropped."""


@dataclass
class Series:
    """An Event that was posted."""

    name: str
    last: datetime
    count: int = 1


class EventPoster:
    """Takes Events at once and posts them when there is time."""

    def __init__(
        self, client: Client, instance: str, now: Callable[[], datetime], busy: Callable[[], bool] = lambda: False
    ) -> None:
        self._client, self._instance, self._now, self._busy = client, instance, now, busy
        self._queue: deque[tuple[SeenJob, Event, datetime]] = deque(maxlen=_QUEUED)
        self._more = asyncio.Event()
        self._series: OrderedDict[tuple[str, Event], Series] = OrderedDict()

    def post(self, job: SeenJob, events: Sequence[Event]) -> None:
        """Have Events posted about a job."""
        for event in events:
            self._queue.append((job, event, self._now()))
            self._more.set()

    async def work(self) -> None:
        """Post until cancelled."""
        while True:
            if not self._queue:
                self._more.clear()
                await self._more.wait()
            await self._let_others_go_first()
            await self._post_next()

    async def _let_others_go_first(self) -> None:
        """While jobs wait, the API server's time is theirs, within reason."""
        for _ in range(_POLITE_LOOKS):
            if not self._busy():
                return
            await asyncio.sleep(_POLITE)

    async def drain(self, seconds: float) -> None:
        """Post what is left when `work` has ended, in no more than so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._queue:
                    await self._post_next()

    async def _post_next(self) -> None:
        """Post the oldest; Events are for people, and nothing that goes wrong with one may end the operator."""
        job, event, at = oldest = self._queue[0]
        try:
            await self._post(job, event, at)
        except (ApiError, Unreachable) as error:
            log.warning("an Event could not be posted: %s", error, extra={"job": job.name})
        except Exception:
            log.exception("an Event could not be posted", extra={"job": job.name})
        # Only now: one whose post is cut off at the end is posted by `drain`. When very many wait, it may be dropped.
        if self._queue and self._queue[0] is oldest:
            self._queue.popleft()

    async def _post(self, job: SeenJob, event: Event, now: datetime) -> None:
        key = job.uid, event
        series = self._series.get(key)
        if series is not None and now - series.last < _SERIES:
            series.count, series.last = series.count + 1, now
            told = {"series": {"count": series.count, "lastObservedTime": _micro(now)}}
            with suppress(ApiError):  # the API server forgets Events after an hour
                await self._client.patch(EVENTS, series.name, told, job.namespace)
            return
        body = event_body(job, event, now, self._instance)
        try:
            await self._client.create(EVENTS, body, job.namespace)
        except ApiError as error:
            if error.reason != "AlreadyExists":  # its answer was lost: the name tells when it was said
                raise
        self._series[key] = Series(body["metadata"]["name"], now)
        self._series.move_to_end(key)
        if len(self._series) > _KNOWN:
            self._series.popitem(last=False)


def event_body(job: SeenJob, event: Event, now: datetime, instance: str) -> Body:
    """Return the object that tells about a job."""
    told = f"{job.uid}/{event.reason}/{event.message}/{_micro(now)}"
    suffix = hashlib.sha256(told.encode()).hexdigest()[:16]
    regarding = {"apiVersion": f"{GROUP}/{VERSION}", "kind": KIND, "name": job.name}
    return {
        "apiVersion": EVENTS.api_version,
        "kind": EVENTS.kind,
        "metadata": {"name": f"{job.name}.{suffix}", "namespace": job.namespace},
        "regarding": {**regarding, "namespace": job.namespace, "uid": job.uid},
        "reason": event.reason,
        "note": event.message if len(event.message) <= _NOTE else f"{event.message[: _NOTE - 1]}…",
        "type": "Warning" if event.warning else "Normal",
        "action": "Reconcile",
        "eventTime": _micro(now),
        "reportingController": MANAGER,
        "reportingInstance": instance[:128],
    }


def _micro(now: datetime) -> str:
    return now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
