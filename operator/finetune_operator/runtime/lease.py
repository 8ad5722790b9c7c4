"""Leader election through a Lease: one process leads, and one that cannot renew in time ends at once."""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from finetune_operator.cluster.client import ApiError, Client, Fenced, Unreachable
from finetune_operator.cluster.resources import LEASES

Body = dict[str, Any]

log = logging.getLogger(__name__)

DURATION: Final = 10.0
_RENEW: Final = 2.0
_RETRY: Final = 1.0
_RELEASE: Final = 1.0
_LOOK: Final = 1.0
"""Seconds between looks of one that stands by."""
_GIVE_UP: Final = 6.0
"""Seconds after the last renewal was asked for at which we stop, whatever is still on its way: the rest of DURATION is
for leaving, before another may begin."""


class LeaseLost(Exception):
    """Another leads, or may begin to at any moment."""


@dataclass
class Clock:
    """Time, which tests turn by hand."""

    monotonic: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    utc: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))


class Lease:
    """Our claim to lead."""

    def __init__(self, client: Client, namespace: str, name: str, identity: str, clock: Clock) -> None:
        self._client, self._namespace, self._name = client, namespace, name
        self._identity, self._clock = identity, clock
        self._held: Body | None = None
        self._renewed = 0.0
        self._seen: tuple[str, float] = ("", 0.0)
        """The other's version of the lease, and since when it has not changed, by our clock alone."""

    async def acquire(self) -> None:
        """Wait until nobody else leads; raises ApiError when leases may not be written."""
        while True:
            try:
                if await self._try():
                    log.info("leading", extra={"lease": f"{self._namespace}/{self._name}"})
                    return
            except Unreachable as error:
                log.warning("%s", error)
            except ApiError as error:
                if not error.transient and error.code != 404:
                    raise
                log.warning("the lease could not be taken: %s", error)
            await self._clock.sleep(_LOOK)

    async def keep(self) -> None:
        """Renew until cancelled; raises LeaseLost."""
        pause = _RENEW
        while True:
            await self._clock.sleep(min(pause, self._left()))
            try:
                async with asyncio.timeout(self._left()):
                    kept, pause = await self._try(), _RENEW
            except (ApiError, Unreachable, TimeoutError) as error:
                log.warning("the lease could not be renewed: %s", str(error) or "no answer in time")
                kept, pause = True, _RETRY  # nobody else has been seen to lead
            if not kept:
                self._renewed = -math.inf
                raise LeaseLost("another operator leads now")
            if self._left() <= 0:
                raise LeaseLost(f"the lease could not be renewed for {_GIVE_UP:g} s")

    def check(self) -> None:
        """Raise Fenced unless we lead for certain: a process may sleep for any time between two of its instructions."""
        if self._left() <= 0:
            raise Fenced("nothing is written any more: another operator may lead by now")

    async def release(self) -> None:
        """Let another lead at once."""
        if self._held is None:
            return
        body = {**self._held, "spec": {**self._held["spec"], "holderIdentity": "", "leaseDurationSeconds": 1}}
        try:
            async with asyncio.timeout(_RELEASE):
                await self._client.replace(LEASES, body)
        except (ApiError, Unreachable, TimeoutError) as error:
            log.info("the lease could not be released: %s", error)
        self._held = None

    def _left(self) -> float:
        """Seconds for which we may still lead."""
        return max(0.0, self._renewed + _GIVE_UP - self._clock.monotonic())

    async def _try(self) -> bool:
        """Take or renew the lease; return whether it is ours."""
        asked = self._clock.monotonic()
        try:
            known = await self._client.get(LEASES, self._name, self._namespace)
        except ApiError as error:
            if error.code != 404:
                raise
            self._held = await self._client.create(LEASES, self._body(None), self._namespace)
            self._renewed = asked
            return True
        if not self._ours(known) and not self._abandoned(known):
            return False
        if self._held is not None and not self._ours(known):
            return False  # somebody led in between
        try:
            self._held = await self._client.replace(LEASES, self._body(known))
        except ApiError as error:
            if error.code == 409:
                return self._held is not None  # the next look tells who was faster
            raise
        self._renewed = asked  # when it was asked for, since the answer may have taken long
        return True

    def _ours(self, known: Body) -> bool:
        return bool((known.get("spec") or {}).get("holderIdentity") == self._identity)

    def _abandoned(self, known: Body) -> bool:
        """Whether its holder has let go, or not renewed it for as long as it said, while we were looking."""
        spec, version, now = known.get("spec") or {}, known["metadata"]["resourceVersion"], self._clock.monotonic()
        if version != self._seen[0]:
            self._seen = version, now
        return not spec.get("holderIdentity") or now - self._seen[1] > float(
            spec.get("leaseDurationSeconds") or DURATION
        )

    def _body(self, known: Body | None) -> Body:
        now = self._clock.utc().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = dict((known or {}).get("spec") or {})
        if spec.get("holderIdentity") != self._identity:
            spec |= {
                "acquireTime": now,
                "leaseTransitions": int(spec.get("leaseTransitions") or 0) + (known is not None),
            }
        spec |= {"holderIdentity": self._identity, "leaseDurationSeconds": int(DURATION), "renewTime": now}
        metadata = (known or {}).get("metadata") or {"name": self._name, "namespace": self._namespace}
        return {"apiVersion": LEASES.api_version, "kind": LEASES.kind, "metadata": metadata, "spec": spec}
