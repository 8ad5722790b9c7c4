"""Puts the parts together: logs in, waits to lead, lists, watches, works; and stops in good order."""

import asyncio
import gc
import importlib
import logging
import os
import signal
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from finetune_operator.cluster.client import ApiError, Client, Unreachable
from finetune_operator.cluster.resources import FINETUNE_JOBS, PODS, Resource
from finetune_operator.runtime.events_poster import EventPoster
from finetune_operator.runtime.handover import Handover
from finetune_operator.runtime.health import SLOWEST_ROUND, Health, serving
from finetune_operator.runtime.lease import Clock, Lease
from finetune_operator.runtime.metrics import Metrics
from finetune_operator.runtime.progress_puller import ProgressPuller
from finetune_operator.runtime.reconciler import Reconciler
from finetune_operator.runtime.resync import INTERVAL, Resync
from finetune_operator.runtime.scope import Scope
from finetune_operator.runtime.store import JobKey
from finetune_operator.runtime.watching import SILENCE, Seen, Watches
from finetune_operator.runtime.work_queue import Backoff, WorkQueue
from finetune_operator.runtime.world import World
from finetune_operator.settings import Settings

Body = dict[str, Any]

log = logging.getLogger(__name__)

_WATCH_SILENCE: Final = 60.0
_WORKER_STOP: Final = 1.0
_LATE_IMPORT: Final = "finetune_operator.launch"
"""Needed for the first pod; imported before, so that the first job does not wait for it."""
_TOGETHER: Final = 0.1
_NOT_STARTED: Final = 1.0
"""Seconds for a pod to start, before it is worth telling what it waits for."""
_PATIENCE: Final = 60.0
"""Seconds for an API server that has only just started, or just learned of FinetuneJobs."""


_PAUSE: Final = 1.0


class Fatal(Exception):
    """The operator cannot do its work; the text says why and what to do."""


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    scope: Scope = field(default_factory=Scope)
    lease: tuple[str, str] | None = None
    """Namespace and name; None: no election."""
    health_port: int = 8081
    metrics_port: int = 9090
    workers: int = 16
    resync: float = INTERVAL
    """Seconds between lists of everything."""
    watch_silence: float = SILENCE
    """Seconds without a word after which a watch is taken to be dead."""


class App:
    """One running operator."""

    def __init__(self, client: Client, settings: Settings, options: Options) -> None:
        self._client, self._options = client, options
        self._health, self._metrics = Health(), Metrics()
        self._identity = f"{socket.gethostname()}_{os.getpid()}"
        self._world = World(with_nodes=options.scope.cluster_wide)
        self._queue: WorkQueue[JobKey] = WorkQueue("jobs", Backoff())
        self._poster = EventPoster(client, self._identity, _now, busy=lambda: self._queue.load > options.workers // 2)
        self._puller = ProgressPuller(self._queue.add, _now)
        self._reconciler = Reconciler(
            client, self._world, settings, poster=self._poster, puller=self._puller, metrics=self._metrics, now=_now
        )
        self._metrics.watch_queue(self._queue)
        self._metrics.watch_jobs(self._world.jobs)
        self._metrics.watch_requests(lambda: dict(client.requests))

    async def run(self) -> None:
        """Work until a signal; raises Fatal, LeaseLost, ApiError or Unreachable."""
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        ports = self._options.health_port, self._options.metrics_port
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(serving(self._health, self._metrics.registry, *ports))
            except OSError as error:
                raise Fatal(f"a port of {ports[0]} (health) and {ports[1]} (metrics) cannot be used: {error}") from None
            await _first_of(stop, self._work(stack))
            log.info("stopping")

    async def _work(self, stack: AsyncExitStack) -> None:
        await _patiently(self._check_crd)
        async with asyncio.TaskGroup() as group:
            if self._options.lease is not None:
                # One that waits to lead is as ready as it can be.
                self._health.ready = True
                await _import_late()  # one that stands by has the time
                lease = Lease(self._client, *self._options.lease, self._identity, Clock(_since_boot))
                await lease.acquire()
                self._client.guard(lease.check)
                stack.push_async_callback(lease.release)
                group.create_task(lease.keep())
            self._metrics.leads(True)
            await self._start(group, stack)

    async def _start(self, group: asyncio.TaskGroup, stack: AsyncExitStack) -> None:
        resync = Resync(
            self._client, self._world, self._options.scope, look_at=self._queue.add_after,
            beat=self._health.expect("resync", 3 * max(INTERVAL, self._options.resync)), interval=self._options.resync,
        )  # fmt: skip
        gc.disable()  # a first list makes a great many objects, and no garbage
        await _patiently(resync.first)
        self._health.ready = True
        self._health.check("queue", self._stuck)
        await _import_late()
        # What is loaded by now stays: looking through it all for garbage, again and again, would hold up the work.
        gc.collect()
        gc.freeze()
        gc.enable()
        watches = self._watches(resync)
        watches.start()
        stack.callback(watches.stop, _WORKER_STOP)
        stack.push_async_callback(self._poster.drain, _WORKER_STOP)
        stack.callback(self._queue.close)
        for work in (resync.work(), self._poster.work(), self._puller.work()):
            group.create_task(work)
        group.create_task(self._queue.work(self._options.workers, self._reconciler))
        log.info("working on %d jobs", len(self._world.jobs))

    def _watches(self, resync: Resync) -> Watches:
        loop = asyncio.get_running_loop()

        def restarted() -> None:
            self._metrics.watch_restarted()
            loop.call_soon_threadsafe(resync.ask)

        def seen(event: Seen) -> None:
            self._seen(resync, *event)

        beat = self._health.expect("watch", _WATCH_SILENCE)
        deliver = Handover(loop, seen).put
        return Watches(
            self._client.log_in, self._options.scope, deliver, beat=beat, restarted=restarted,
            silence=self._options.watch_silence,
        )  # fmt: skip

    def _seen(self, resync: Resync, resource: Resource, kind: str | None, body: Body) -> None:
        if kind is None:
            resync.ask()  # a stream began anew; what went meanwhile, only a whole list can tell
        news = self._world.remove if kind == "DELETED" else self._world.put
        for key in news(resource, body):
            if resource is PODS:  # those of one job start and end together: one look for all of them
                self._queue.add_after(key, _NOT_STARTED if is_starting(kind, body) else _TOGETHER)
            else:  # a job that has no pods yet overtakes those that report theirs
                self._queue.add(key, first=resource is FINETUNE_JOBS and not body.get("status", {}).get("frozen"))

    def _stuck(self) -> str | None:
        slowest = self._queue.oldest_work()
        return f"a worker has been at one job for {slowest:.0f} s" if slowest > SLOWEST_ROUND else None

    async def _check_crd(self) -> None:
        try:
            await self._client.list(FINETUNE_JOBS, self._options.scope.places()[0], fields="metadata.name=-")
        except ApiError as error:
            if error.code == 404:
                raise Fatal("the cluster has no FinetuneJobs: install crds/finetunejobs.yaml (or the chart)") from None
            raise


async def _import_late() -> None:
    await asyncio.to_thread(importlib.import_module, _LATE_IMPORT)


def is_starting(kind: str | None, pod: Body) -> bool:
    """Tell whether a pod has yet to start, and nobody takes it away."""
    waits = (pod.get("status") or {}).get("phase") in (None, "Pending")
    return waits and kind != "DELETED" and "deletionTimestamp" not in pod["metadata"]


async def _patiently(action: Callable[[], Awaitable[None]]) -> None:
    """Try again while the API server asks for patience, and for as long as it does not answer at all.

    Who ends because nobody answers is started again by the kubelet, but after ever longer pauses.
    """
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            return await action()
        except Unreachable as error:
            log.warning("waiting for the API server: %s", error)
            pause = _PAUSE
        except ApiError as error:
            if not error.transient or time.monotonic() > until:
                raise
            log.info("waiting for the API server: %s", error)
            pause = error.retry_after or _PAUSE
        await asyncio.sleep(pause)


def _since_boot() -> float:
    """Seconds that go on while the machine sleeps, where the system has such a clock."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


async def _first_of(stop: asyncio.Event, work: Any) -> None:
    """Work until `stop` is set; errors of the work are raised."""
    working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
    finally:
        for task in (working, stopping):
            task.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await working


def _now() -> datetime:
    return datetime.now(UTC)
