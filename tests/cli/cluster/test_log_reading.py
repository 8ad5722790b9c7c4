"""Logs are read once, in order, through broken connections."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from finetune_cli.cluster import log_reading
from finetune_cli.cluster.log_lines import Stamped
from finetune_cli.cluster.log_reading import Container, LogReader, has_ended, in_order
from finetune_operator.cluster.errors import ApiError
from support.log_server import LogServer

POD = "arc-easy-0-0"


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_reading, "_POLL", 0.02)


def test_a_broken_stream_goes_on_where_it_was() -> None:
    told: list[str] = []

    async def story() -> list[str]:
        async with LogServer().serving() as server, server.client() as client:
            assert isinstance(server, LogServer)
            server.pod(POD)
            reader, read = LogReader(client, "team", Container(POD, "trainer")), list[str]()
            server.written(POD, "one", "two", "three", at=10)
            async for line in reader.follow(told.append):
                read.append(line.text)
                if read[-1] == "three":
                    server.cut_logs()
                    server.written(POD, "four", at=10.01)
                if read[-1] == "four":
                    server.fail("GET", "log", 500, message="kubelet is away")
                    server.cut_logs()
                    server.written(POD, "five", at=11)
                    server.ends(POD)
            since = [one.query.get("sinceTime") for one in server.requests if one.plural == "log"]
            assert since[:2] == [None, "1970-01-01T00:00:10Z"]
            return read

    assert asyncio.run(asyncio.wait_for(story(), 60)) == ["one", "two", "three", "four", "five"]
    assert any("cannot be reached" in one for one in told)
    assert any("kubelet is away; trying again" in one for one in told)


def test_a_log_that_has_not_begun_is_waited_for() -> None:
    async def story() -> list[str]:
        async with LogServer().serving() as server, server.client() as client:
            assert isinstance(server, LogServer)

            async def later() -> None:
                await asyncio.sleep(0.1)
                server.pod(POD, phase="Pending")
                await asyncio.sleep(0.1)
                server.written(POD, "begun")
                server.ends(POD)

            beginning = asyncio.create_task(later())
            reader = LogReader(client, "team", Container(POD, "trainer"))
            read = [line.text async for line in reader.follow(lambda _: None)]
            await beginning
            return read

    assert asyncio.run(asyncio.wait_for(story(), 60)) == ["begun"]


def test_a_container_that_begins_and_ends_between_two_looks_is_not_missed() -> None:
    async def story() -> list[str]:
        async with LogServer().serving() as server, server.client() as client:
            assert isinstance(server, LogServer)
            server.written(POD, "short life")
            server.ends(POD)
            server.fail("GET", "log", 400, message="waiting to start: ContainerCreating")
            reader = LogReader(client, "team", Container(POD, "trainer"))
            return [line.text async for line in reader.follow(lambda _: None)]

    assert asyncio.run(asyncio.wait_for(story(), 60)) == ["short life"]


def test_the_log_of_a_container_that_never_ran_is_empty_and_what_is_forbidden_is_raised() -> None:
    async def story() -> None:
        async with LogServer().serving() as server, server.client() as client:
            assert isinstance(server, LogServer)
            server.pod(POD, phase="Failed")
            reader = LogReader(client, "team", Container(POD, "trainer"))
            assert [line async for line in reader.follow(lambda _: None)] == []
            server.fail("GET", "log", 403, message="you may not read logs")
            with pytest.raises(ApiError, match="you may not read logs"):
                assert [line async for line in reader.follow(lambda _: None)] == []

    asyncio.run(asyncio.wait_for(story(), 60))


@pytest.mark.parametrize(
    ("status", "ended"),
    [
        ({}, False),
        ({"phase": "Running", "containerStatuses": [{"name": "trainer", "state": {"running": {}}}]}, False),
        ({"phase": "Running", "containerStatuses": [{"name": "trainer", "state": {"terminated": {}}}]}, True),
        ({"phase": "Running", "initContainerStatuses": [{"name": "fetch", "state": {"terminated": {}}}]}, False),
        ({"phase": "Failed", "reason": "Evicted"}, True),
    ],
)
def test_a_container_has_ended_when_its_state_or_its_pod_says_so(status: dict[str, object], ended: bool) -> None:
    assert has_ended({"status": status}, "trainer") is ended


def test_lines_of_several_logs_come_in_the_order_of_their_times() -> None:
    async def stream(lines: Sequence[tuple[int, str]]) -> AsyncIterator[Stamped]:
        for at, text in lines:
            yield Stamped(at, text)

    async def story() -> list[tuple[int, str]]:
        streams = [stream([(1, "a"), (4, "d")]), stream([]), stream([(2, "b"), (3, "c"), (4, "e")])]
        return [(number, line.text) async for number, line in in_order(streams)]

    assert asyncio.run(story()) == [(0, "a"), (2, "b"), (2, "c"), (0, "d"), (2, "e")]
