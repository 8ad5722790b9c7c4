"""Who leads, on a clock that is turned by hand."""

import asyncio
import copy
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from finetune_operator.cluster.client import ApiError, Client, Fenced, Unreachable
from finetune_operator.runtime.lease import Clock, Lease, LeaseLost
from support.fake_api_server import FakeApiServer
from support.virtual_time import run_virtually


class Hands:
    """A clock that moves only when somebody sleeps by it."""

    def __init__(self) -> None:
        self.now = 0.0

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)

    def clock(self) -> Clock:
        return Clock(
            lambda: self.now, self.sleep, lambda: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.now)
        )


def test_the_first_leads_and_the_second_waits_until_it_lets_go() -> None:
    async def run() -> None:
        async with FakeApiServer().serving() as server, server.client() as client:
            first = Lease(client, "team", "operator", "a", Hands().clock())
            second = Lease(client, "team", "operator", "b", Hands().clock())
            await first.acquire()
            assert not await second._try()
            await first.release()
            await second.acquire()
            spec = server.get("leases", "operator")["spec"]
            assert (spec["holderIdentity"], spec["leaseTransitions"]) == ("b", 1)

    asyncio.run(run())


def test_a_lease_that_is_not_renewed_is_taken_over_after_its_duration_by_our_own_clock() -> None:
    async def run() -> None:
        async with FakeApiServer().serving() as server, server.client() as client:
            hands = Hands()
            dead = Lease(client, "team", "operator", "a", Hands().clock())
            await dead.acquire()
            await asyncio.wait_for(Lease(client, "team", "operator", "b", hands.clock()).acquire(), 60)
            assert 10 < hands.now <= 14

    asyncio.run(run())


def test_a_leader_whose_lease_another_took_ends() -> None:
    async def run() -> None:
        async with FakeApiServer().serving() as server, server.client() as client:
            lease = Lease(client, "team", "operator", "a", Hands().clock())
            await lease.acquire()
            server.change("leases", "operator", lambda body: body["spec"].update(holderIdentity="b"))
            with pytest.raises(LeaseLost, match="another"):
                await asyncio.wait_for(lease.keep(), 60)

    asyncio.run(run())


def test_a_leader_that_cannot_renew_ends_before_another_may_begin() -> None:
    async def run() -> None:
        async with FakeApiServer().serving() as server, server.client() as client:
            hands = Hands()
            lease = Lease(client, "team", "operator", "a", hands.clock())
            await lease.acquire()
            server.fail("GET", "leases", 500, times=1000)
            with pytest.raises(LeaseLost, match="could not be renewed"):
                await asyncio.wait_for(lease.keep(), 60)
            assert hands.now == 6

    asyncio.run(run())


def test_one_failure_to_renew_is_no_loss() -> None:
    async def run() -> None:
        async with FakeApiServer().serving() as server, server.client() as client:
            hands = Hands()
            lease = Lease(client, "team", "operator", "a", hands.clock())
            await lease.acquire()
            keeping = asyncio.create_task(lease.keep())
            for moment in (0, 20, 40):
                server.fail("PUT", "leases", 500, times=1)
                while hands.now < moment + 20:
                    assert not keeping.done()
                    await asyncio.sleep(0)
            keeping.cancel()
            assert not any(fault.times for fault in server.faults)

    asyncio.run(run())


class Falters:
    """Keeps one lease; from a moment on, it answers only after `seconds`, and then with an error."""

    def __init__(self, *, at: float, seconds: float) -> None:
        self._at, self._seconds = at, seconds
        self._lease: dict[str, Any] | None = None
        self.last_renewal = 0.0

    async def get(self, *_: object) -> dict[str, Any]:
        if asyncio.get_running_loop().time() >= self._at:
            await asyncio.sleep(self._seconds)
            raise Unreachable("no answer")
        if self._lease is None:
            raise ApiError(404, "NotFound", "no such lease")
        return copy.deepcopy(self._lease)

    async def create(self, _: object, body: dict[str, Any], *__: object) -> dict[str, Any]:
        return await self.replace(_, body)

    async def replace(self, _: object, body: dict[str, Any]) -> dict[str, Any]:
        self.last_renewal = asyncio.get_running_loop().time()
        self._lease = {**body, "metadata": {**body["metadata"], "resourceVersion": str(self.last_renewal)}}
        return self._lease


@pytest.mark.parametrize("seconds", [0.0, 0.9, 2.5, 4.9, 60.0])
def test_a_leader_leads_six_seconds_without_a_renewal_however_slow_the_refusals_are(seconds: float) -> None:
    async def run() -> None:
        now = asyncio.get_running_loop().time
        server = Falters(at=now() + 11, seconds=seconds)
        lease = Lease(cast(Client, server), "team", "operator", "a", Clock(now))
        await lease.acquire()
        with pytest.raises(LeaseLost, match="could not be renewed for 6 s"):
            await lease.keep()
        assert now() - server.last_renewal == pytest.approx(6, abs=0.01)

    run_virtually(run())


def test_nothing_may_be_written_once_the_lease_may_be_anothers() -> None:
    async def run() -> None:
        async with FakeApiServer().serving() as server, server.client() as client:
            hands = Hands()
            lease = Lease(client, "team", "operator", "a", hands.clock())
            await lease.acquire()
            hands.now = 5.9
            lease.check()
            hands.now = 6.0  # as after a sleep between two instructions
            with pytest.raises(Fenced):
                lease.check()

    asyncio.run(run())


def test_nothing_may_be_written_once_another_was_seen_to_lead() -> None:
    async def run() -> None:
        async with FakeApiServer().serving() as server, server.client() as client:
            lease = Lease(client, "team", "operator", "a", Hands().clock())
            await lease.acquire()
            server.change("leases", "operator", lambda body: body["spec"].update(holderIdentity="b"))
            with pytest.raises(LeaseLost):
                await asyncio.wait_for(lease.keep(), 60)
            with pytest.raises(Fenced):
                lease.check()

    asyncio.run(run())


def test_one_that_stands_by_takes_over_little_more_than_a_duration_after_the_last_renewal() -> None:
    async def run() -> None:
        async with FakeApiServer().serving() as server, server.client() as client:
            hands = Hands()
            dead = Lease(client, "team", "operator", "a", hands.clock())
            await dead.acquire()
            hands.now = 0.99  # the second looks for the first time just before it would have looked again
            await asyncio.wait_for(Lease(client, "team", "operator", "b", hands.clock()).acquire(), 60)
            assert hands.now < 12.5

    asyncio.run(run())
