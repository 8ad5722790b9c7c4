"""The watch streams, which kopf keeps open; the one module that knows kopf.

kopf has a thread and an event loop of its own: it cancels every task of its loop when it ends, and an ERROR event ends
it. It gets nothing to do but to hand over what it sees: no finalizers, no annotations, no Events, no peering.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
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

_BEAT: Final = 2.0
_LONGEST_PAUSE: Final = 30.0
_SERVER_TIMEOUT: Final = 290
_LISTED_AT_ONCE: Final = 250
"""kopf lists too before it watches; this bounds how many whole objects it holds meanwhile."""


class Watches:
    """Runs kopf until stopped, and starts it again when it ends by itself."""

    def __init__(
        self, login: Login, scope: Scope, deliver: Deliver, *, beat: Callable[[], None], restarted: Callable[[], None]
    ) -> None:
        self._login, self._scope, self._deliver = login, scope, deliver
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
                asyncio.run(self._watch())
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
        beating = asyncio.create_task(self._beating())
        try:
            await kopf.operator(
                registry=self._registry(),
                settings=watch_settings(self._scope),
                standalone=True,
                clusterwide=self._scope.cluster_wide,
                namespaces=self._scope.namespaces,
            )
        finally:
            beating.cancel()

    async def _beating(self) -> None:
        while True:
            self._beat()
            await asyncio.sleep(_BEAT)

    def _registry(self) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()
        kopf.on.login(registry=registry)(self._log_in)
        watched = [FINETUNE_JOBS, PODS, *([NODES] if self._scope.cluster_wide else [])]
        for resource in watched:
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


def watch_settings(scope: Scope) -> kopf.OperatorSettings:
    """Return kopf's settings: it watches what concerns us, and writes nothing."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.persistence.diffbase_storage = _NothingToCompare()
    settings.scanning.disabled = True  # no watching of namespaces and CRDs, so no right to do so is needed
    settings.process.ultimate_exiting_timeout = None  # nor to kill us
    settings.watching.server_timeout = _SERVER_TIMEOUT
    settings.watching.connect_timeout = 10.0
    settings.watching.chunk_size = _LISTED_AT_ONCE
    settings.queueing.idle_timeout = 0.5
    settings.queueing.exit_timeout = 0.1
    settings.watching.label_selectors[PODS.group, PODS.version, PODS.plural] = POD_LABELS
    fields = scope.fields()
    for resource in (FINETUNE_JOBS, PODS):
        if fields is not None:
            settings.watching.field_selectors[resource.group, resource.version, resource.plural] = fields
    return settings
