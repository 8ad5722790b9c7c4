"""The watch streams, which kopf keeps open; the one module that knows kopf.

kopf has a thread and an event loop of its own: it cancels every task of its loop when it ends, and an ERROR event ends
it. It gets nothing to do but to hand over what it sees: no finalizers, no annotations, no Events, no peering.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final

import kopf

from finetune_operator.cluster.access import Login
from finetune_operator.cluster.connection import session_of
from finetune_operator.cluster.errors import LoginError
from finetune_operator.cluster.resources import FINETUNE_JOBS, NODES, PODS, Resource
from finetune_operator.runtime.scope import POD_LABELS, Scope

Body = dict[str, Any]
Seen = tuple[Resource, str | None, Body]
"""The kind, the type of event (None: it was in a list), and the object."""
Deliver = Callable[[Seen], None]
"""Gets what is seen; called in kopf's thread."""

log = logging.getLogger(__name__)

_BEAT: Final = 1.0
_MISSED_BEATS: Final = 3
_PATIENCE: Final = 60
"""Beats until kopf has found out what kinds there are."""
_WATCHER: Final = "watcher for "
"""How kopf names the task of each watch."""
_CANCELS: Final = 3
"""How often a task is asked to end before it is left behind."""
_LONGEST_PAUSE: Final = 30.0
_SERVER_TIMEOUT: Final = 290
SILENCE: Final = 70.0
"""API servers send a bookmark each minute, and know 75 s of the past."""
_REQUEST: Final = 30.0
_BACKOFFS: Final = (0.5, 1.0, 2.0, 4.0)
"""Between tries of one request; kopf's own pauses grow to 21 s, for which nobody would watch."""
_LISTED_AT_ONCE: Final = 250
"""kopf lists too before it watches; this bounds how many whole objects it holds meanwhile."""


class ComesApart(Exception):
    """Some watches have ended and others have not."""


class Watches:
    """Runs kopf until stopped, and starts it again when it ends by itself."""

    def __init__(
        self, login: Login, scope: Scope, deliver: Deliver, *,
        beat: Callable[[], None], restarted: Callable[[], None], silence: float = SILENCE,
    ) -> None:  # fmt: skip
        self._login, self._scope, self._deliver, self._silence = login, scope, deliver, silence
        self._beat, self._restarted = beat, restarted
        self._stop = threading.Event()
        self._end_kopf: Callable[[], None] = lambda: None
        self._thread = threading.Thread(target=self._run, name="watches", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """End the watches; give up waiting after so many seconds."""
        self._stop.set()
        self._end_kopf()
        self._thread.join(seconds)

    def _run(self) -> None:
        ended = 0
        while not self._stop.is_set():
            begun = time.monotonic()
            try:
                _run_bounded(self._watch())
            except asyncio.CancelledError:
                return
            except Exception as error:
                log.warning("the watches ended: %s", error)
            ended = 1 if time.monotonic() - begun > _LONGEST_PAUSE else ended + 1
            self._restarted()
            self._stop.wait(min(_LONGEST_PAUSE, 0.5 * 2 ** min(ended, 10)))

    async def _watch(self) -> None:
        # Stopped by cancelling: a stop flag's waiter would hold kopf up for 5 s whenever a watch fails.
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        loop.set_exception_handler(_of_no_interest)
        self._end_kopf = lambda: _from_outside(loop, task.cancel)
        if self._stop.is_set():
            return
        kopf_itself = asyncio.create_task(self._operate())
        beating = asyncio.create_task(self._beating())
        await asyncio.wait({kopf_itself, beating}, return_when=asyncio.FIRST_COMPLETED)
        if kopf_itself.done():
            kopf_itself.result()
        else:
            raise ComesApart("one of them has ended, and kopf waits for the others")

    async def _operate(self) -> None:
        await kopf.operator(
            registry=self._registry(),
            settings=watch_settings(self._scope, self._silence),
            standalone=True,
            clusterwide=self._scope.cluster_wide,
            namespaces=self._scope.namespaces,
        )

    async def _beating(self) -> None:
        """Show that the thread lives; return when one of the watches has ended for good.

        An error in one stream should end kopf, but its end may wait for ever for another stream that missed being
        cancelled.
        """
        expected = len(self._watched()) * len(self._scope.places())
        missing, patience = 0, _PATIENCE
        while missing < patience:
            self._beat()
            await asyncio.sleep(_BEAT)
            alive = sum(task.get_name().startswith(_WATCHER) for task in asyncio.all_tasks())
            missing = missing + 1 if alive < expected else 0
            patience = _MISSED_BEATS if alive else patience  # all begin together

    def _watched(self) -> list[Resource]:
        return [FINETUNE_JOBS, PODS, *([NODES] if self._scope.cluster_wide else [])]

    def _registry(self) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()
        kopf.on.login(registry=registry)(self._log_in)
        for resource in self._watched():
            kopf.on.event(resource.group, resource.version, resource.plural, registry=registry, id=resource.plural)(
                self._handler(resource)
            )
        return registry

    def _handler(self, resource: Resource) -> Callable[..., Any]:
        async def seen(event: Any, **_: Any) -> None:
            self._deliver((resource, event["type"], event["object"]))

        return seen

    async def _log_in(self, **_: Any) -> kopf.AiohttpSession:
        try:
            access = await asyncio.to_thread(self._login)
        except LoginError as error:
            raise kopf.TemporaryError(str(error), delay=5) from None
        session = session_of(access, "finetune-operator-watch")
        return kopf.AiohttpSession(server=access.server, default_namespace=access.namespace, aiohttp_session=session)


def _run_bounded(main: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine in a loop of its own, as `asyncio.run` does, but never wait for ever for what it leaves."""
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(main)
    finally:
        for _ in range(_CANCELS):
            left = asyncio.all_tasks(loop)
            for task in left:
                task.cancel()
            if left:
                loop.run_until_complete(asyncio.wait(left, timeout=1.0))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def _from_outside(loop: asyncio.AbstractEventLoop, action: Callable[[], object]) -> None:
    with suppress(RuntimeError):  # the loop is closed already
        loop.call_soon_threadsafe(action)


def _of_no_interest(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """kopf leaves tasks behind whose errors it has raised already."""
    log.debug("%s", context.get("message"))


class _NothingToCompare(kopf.DiffBaseStorage):
    """Spares kopf a deep copy of every object, from which it would find out which fields have changed."""

    def build(self, *, body: kopf.Body, extra_fields: Any = None) -> kopf.BodyEssence:
        return kopf.BodyEssence({})

    def fetch(self, *, body: kopf.Body) -> None:
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        pass


def watch_settings(scope: Scope, silence: float = SILENCE) -> kopf.OperatorSettings:
    """Return kopf's settings: it watches what concerns us, and writes nothing."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.persistence.diffbase_storage = _NothingToCompare()
    settings.scanning.disabled = True  # no watching of namespaces and CRDs, so no right to do so is needed
    settings.process.ultimate_exiting_timeout = None  # nor to kill us
    settings.watching.server_timeout = _SERVER_TIMEOUT
    settings.watching.connect_timeout = settings.networking.connect_timeout = 10.0
    settings.watching.inactivity_timeout = silence
    settings.networking.request_timeout = min(_REQUEST, silence)
    settings.networking.error_backoffs = _BACKOFFS
    settings.watching.chunk_size = _LISTED_AT_ONCE
    settings.queueing.idle_timeout = 0.5
    settings.queueing.exit_timeout = 0.1
    settings.watching.label_selectors[PODS.group, PODS.version, PODS.plural] = POD_LABELS
    fields = scope.fields()
    for resource in (FINETUNE_JOBS, PODS):
        if fields is not None:
            settings.watching.field_selectors[resource.group, resource.version, resource.plural] = fields
    return settings
