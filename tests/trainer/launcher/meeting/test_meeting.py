"""Whole meetings over real sockets: who comes, who does not, who lies, and what everybody is told."""

import asyncio
import socket
import threading
import time
from typing import Any

import pytest

from finetune_trainer.launcher.meeting import (
    MeetingFault,
    MeetingOver,
    Verdict,
    coordinator,
    door,
    member,
    mesh,
    verdict,
)
from finetune_trainer.launcher.meeting import facts as meeting_facts
from finetune_trainer.launcher.meeting.approach import find_node_0
from finetune_trainer.launcher.meeting.coordinator import Coordinator
from finetune_trainer.launcher.meeting.facts import NodeFacts
from finetune_trainer.launcher.meeting.wire import Garbled, Line
from finetune_trainer.launcher.meeting.wire import call as plain
from support.meetings import all_meet, facts, meeting, take_part
from support.ports import free_port


@pytest.fixture
def _of_any_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes of one process are as fast as the machine lets them be just then."""
    monkeypatch.setattr(verdict, "SLOW", float("inf"))


@pytest.mark.usefixtures("_of_any_speed")
@pytest.mark.parametrize("nodes", [1, 2, 5])
def test_nodes_without_a_blemish_get_one_clean_verdict(nodes: int) -> None:
    endings = asyncio.run(all_meet(nodes))
    assert all(ending == endings[0] for ending in endings)
    assert isinstance(endings[0], Verdict)
    assert (endings[0].fault, endings[0].suspects, endings[0].warnings) == (None, [], [])
    assert [line.split(":")[0] for line in endings[0].nodes] == [f"node {r} (job-0-{r})" for r in range(nodes)]
    assert all("Gbit/s" in line for line in endings[0].nodes) == (nodes > 1)


def test_the_port_is_free_for_torchrun_right_after_the_meeting() -> None:
    port = free_port()

    async def both() -> list[Any]:
        return list(await asyncio.gather(*(take_part(meeting(rank, port=port)) for rank in range(2))))

    for _ in range(3):
        asyncio.run(both())
        with socket.socket() as plain:  # not even SO_REUSEADDR: node 0 was not the first to hang up
            plain.bind(("127.0.0.1", port))


def test_a_node_that_comes_late_is_waited_for() -> None:
    port = free_port()

    async def late() -> list[Any]:
        first = asyncio.create_task(take_part(meeting(1, 3, port=port)))
        zero = Coordinator(meeting(0, 3, port=port))
        leading = asyncio.create_task(zero.lead())
        await _has_come(zero, 1)
        return [await take_part(meeting(2, 3, port=port)), await first, await leading]

    assert all(isinstance(end, Verdict) and end.fault is None for end in asyncio.run(late()))


def test_a_node_that_never_comes_is_named_and_accused_of_nothing() -> None:
    end = asyncio.run(take_part(meeting(0, 2, timeout=0.0, peers="job-0-{rank}.job")))
    assert isinstance(end, MeetingOver)
    assert "node 1 (job-0-1) did not come within 0 s" in str(end)


def test_a_pod_of_another_attempt_is_refused_and_the_meeting_goes_on() -> None:
    port = free_port()

    async def with_stranger() -> list[Any]:
        zero = asyncio.create_task(take_part(meeting(0, port=port)))
        stale = await take_part(meeting(1, port=port, run_id="uid-7", bind="127.0.0.9"))
        return [stale, await take_part(meeting(1, port=port)), await zero]

    stale, one, zero = asyncio.run(with_stranger())
    assert isinstance(stale, MeetingOver)
    assert "refused this node: another attempt or another job meets here" in str(stale)
    assert "uid-0" not in str(stale)
    assert one == zero
    assert one.fault is None


@pytest.mark.parametrize(
    "rude",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x80\x04\x95pickle\n",
        b'{"word": "hello"}\n',
        b'{"word": "hello", "run": "uid-0", "rank": 9, "port": 1, "facts": {}}\n',
        b'{"word": "hello", "run": "uid-0", "rank": true, "port": 5, "facts": {}}\n',
        b'{"word": "hello", "run": "uid-0", "rank": 1, "port": 5, "facts": {"host": 3, "time": 1e99}}\n',
        b"[" * 100_000 + b"\n",
        b"x" * (1 << 19),
        b"",
    ],
)
def test_whoever_talks_nonsense_is_ignored(rude: bytes) -> None:
    port = free_port()

    async def with_rude() -> list[Any]:
        zero = asyncio.create_task(take_part(meeting(0, port=port)))
        _, writer = await _dialled(port)
        writer.write(rude)
        one = await take_part(meeting(1, port=port))
        writer.close()
        return [one, await zero]

    one, zero = asyncio.run(with_rude())
    assert one == zero
    assert one.fault is None


def test_two_pods_that_claim_to_be_the_same_node_are_not_both_believed() -> None:
    port = free_port()

    async def twice() -> list[Any]:
        zero = Coordinator(meeting(0, 3, port=port))
        leading = asyncio.create_task(zero.lead())
        first = asyncio.create_task(take_part(meeting(1, 3, port=port)))
        await _has_come(zero, 1)
        double = await take_part(meeting(1, 3, port=port, bind="127.0.0.9"))
        return [double, await take_part(meeting(2, 3, port=port)), await first, await leading]

    double, *others = asyncio.run(twice())
    assert "node 1 is here already" in str(double)
    assert all(isinstance(end, Verdict) and end.fault is None for end in others)


def test_a_node_that_falls_silent_in_the_meeting_is_suspected_by_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coordinator, "REPORT_SECONDS", 5.0)
    port = free_port()

    async def with_sleeper() -> list[Any]:
        zero = asyncio.create_task(take_part(meeting(0, 3, port=port)))
        one = asyncio.create_task(take_part(meeting(1, 3, port=port)))
        line = await find_node_0(meeting(2, 3, port=port))
        await _hello(line, 2)
        endings = [await zero, await one]
        await line.close()
        return endings

    zero, one = asyncio.run(with_sleeper())
    assert zero == one
    assert zero.suspects == [2]
    assert "node 2 (job-0-2) fell silent" in zero.fault


def test_a_silent_node_0_is_suspected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(member, "_SILENCE_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        end = asyncio.run(take_part(meeting(1, port=server.getsockname()[1])))
    assert isinstance(end, MeetingFault)
    assert end.suspects == [0]
    assert "took the connection and fell silent" in str(end)


def test_a_node_0_that_leaves_is_no_fault_of_a_machine() -> None:
    port = free_port()

    async def deserted() -> Any:
        zero = Coordinator(meeting(0, 3, port=port))
        leading = asyncio.create_task(zero.lead())
        one = asyncio.create_task(take_part(meeting(1, 3, port=port)))
        await _has_come(zero, 1)
        leading.cancel()
        return await one

    end = asyncio.run(deserted())
    assert isinstance(end, MeetingOver)
    assert "its own last words say why" in str(end)


def test_a_wall_between_two_others_is_found_and_both_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mesh, "call", _walled({("127.0.0.2", "127.0.0.3")}))
    zero, *others = asyncio.run(all_meet(4))
    assert isinstance(zero, Verdict)
    assert zero.suspects == [1, 2]
    assert "node 1 (job-0-1) cannot talk to node 2 (job-0-2)" in str(zero.fault)
    assert others == [zero] * 3


def test_a_node_whom_nobody_reaches_is_named_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mesh, "call", _walled({("*", "127.0.0.3")}))
    zero, *_ = asyncio.run(all_meet(4))
    assert isinstance(zero, Verdict)
    assert zero.suspects == [2]


def test_a_small_dev_shm_is_told_to_all_nodes() -> None:
    small = {1: {"facts": lambda: facts(1, shared_memory=32 << 20, ranks=2)}}
    zero, one = asyncio.run(all_meet(2, small))
    assert zero == one
    assert isinstance(zero, Verdict)
    assert zero.suspects == [1]
    assert "/dev/shm of node 1 (job-0-1) holds only 32 MiB" in str(zero.fault)


def test_a_clock_that_is_wrong_is_a_warning() -> None:
    wrong = {1: {"facts": lambda: facts(1, time=time.time() - 600)}}
    zero, _ = asyncio.run(all_meet(2, wrong))
    assert isinstance(zero, Verdict)
    assert zero.fault is None
    assert "the clock of node 1 (job-0-1) differs by -600 s" in zero.warnings[0]


def _in_vain(zero: Coordinator) -> Any:
    """Name servers that have been silent for too long when node 1 has come."""

    async def silent(one: Any) -> Any:
        await _has_come(zero, 1)
        raise MeetingFault("node 0 cannot look up job-0-0.job", [0])

    return silent


def test_silent_name_servers_are_told_to_those_who_came(monkeypatch: pytest.MonkeyPatch) -> None:
    async def judged() -> list[Any]:
        port = free_port()
        zero = Coordinator(meeting(0, 3, port=port))
        monkeypatch.setattr(coordinator, "find_name", _in_vain(zero))
        absent = meeting(2, 3, port=free_port(), timeout=0.5)
        return list(await asyncio.gather(zero.lead(), take_part(meeting(1, 3, port=port)), take_part(absent)))

    zero, one, absent = asyncio.run(judged())
    assert zero == one
    assert isinstance(one, Verdict)
    assert one.suspects == [0]
    assert isinstance(absent, MeetingOver)


def test_a_fault_of_node_0_is_its_verdict_while_another_is_still_on_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    async def judged() -> Verdict:
        port = free_port()
        zero = Coordinator(meeting(0, 3, port=port))
        monkeypatch.setattr(coordinator, "find_name", _in_vain(zero))
        leading = asyncio.create_task(zero.lead())
        line = await find_node_0(meeting(1, 3, port=port))
        await _hello(line, 1)
        try:
            return await leading
        finally:
            await line.close()

    assert asyncio.run(judged()).suspects == [0]


def test_a_node_that_leaves_while_others_are_missing_ends_the_meeting_at_once() -> None:
    port = free_port()

    async def left() -> list[Any]:
        leader = Coordinator(meeting(0, 4, port=port, timeout=600.0))
        zero = asyncio.create_task(leader.lead())
        one = asyncio.create_task(take_part(meeting(1, 4, port=port, timeout=600.0)))
        await _has_come(leader, 1)
        line = await find_node_0(meeting(2, 4, port=port))
        await _hello(line, 2)
        await line.close()
        async with asyncio.timeout(60):
            return list(await asyncio.gather(zero, one, return_exceptions=True))

    zero, one = asyncio.run(left())
    assert isinstance(zero, MeetingOver)
    assert "node 2 left before all nodes had come" in str(zero)
    assert isinstance(one, MeetingOver)
    assert "left before the nodes had met" in str(one)


@pytest.mark.usefixtures("_of_any_speed")
def test_a_slow_volume_makes_a_node_late_and_not_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "FIRST_WORD_SECONDS", 8.0)
    monkeypatch.setattr(coordinator, "BEAT_SECONDS", 0.2)
    monkeypatch.setattr(member, "_SILENCE_SECONDS", 8.0)
    monkeypatch.setattr(meeting_facts, "LOOK_SECONDS", 120.0)

    async def meetings() -> list[Any]:
        """Two at once, of which each takes longer than nodes may be silent."""
        slow = [{rank: {"facts": lambda rank=rank: _slowly(rank, 9.0)}} for rank in range(2)]
        return list(await asyncio.gather(*(all_meet(3, one) for one in slow)))

    for endings in asyncio.run(meetings()):
        assert all(isinstance(end, Verdict) and end.fault is None for end in endings)
        assert endings[0].warnings == []


def test_the_clock_is_told_as_it_is_when_the_node_arrives() -> None:
    assert facts(1, time=1000.0).after(7.5).time == 1007.5


def test_a_volume_that_does_not_answer_is_the_fault_of_its_node(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meeting_facts, "LOOK_SECONDS", 0.2)
    answer = threading.Event()

    def silent() -> NodeFacts:
        answer.wait()
        return facts(1)

    try:
        end = asyncio.run(take_part(meeting(1, facts=silent)))
    finally:
        answer.set()
    assert isinstance(end, MeetingFault)
    assert end.suspects == [1]
    assert "the output volume of node 1 did not say" in str(end)


def test_absurd_numbers_in_a_report_harm_nobody() -> None:
    told = {"word": "report", "unreached": {"1" * 5000: "made up", "7": 3}, "rates": [10**400, "9"]}
    account = coordinator._account(facts(1), 0.0, told)
    assert (account.unreached, account.rates) == ({7: "3"}, [])


@pytest.mark.parametrize("nodes", [5, [1], {"1": ["a", float("inf")]}, {"1" * 5000: ["a", 1]}])
def test_a_roll_that_is_none_is_garbled(nodes: object) -> None:
    with pytest.raises(Garbled, match="not a roll"):
        member._roll({"word": "roll", "nodes": nodes})


def test_a_number_of_missing_nodes_names_none() -> None:
    assert member._missing({"word": "wait", "missing": 5}) == []


def _slowly(rank: int, seconds: float) -> NodeFacts:
    time.sleep(seconds)
    return facts(rank)


async def _has_come(zero: Coordinator, rank: int) -> None:
    async with asyncio.timeout(60):
        while rank not in zero._members:
            await asyncio.sleep(0.01)


async def _dialled(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A plain connection, as soon as somebody listens."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                await asyncio.sleep(0.01)


async def _hello(line: Line, rank: int) -> None:
    await line.send("hello", run="uid-0", rank=rank, port=9, facts=facts(rank).to_json())
    assert (await line.receive(60))["word"] == "welcome"


def _walled(walls: set[tuple[str, str]]) -> Any:
    """Connections as from a node behind a firewall: by address of the callee, whoever calls, or of both."""

    async def walled(address: str, port: int, seconds: float, source: str | None = None) -> Line:
        if walls & {(source, address), ("*", address)}:
            raise TimeoutError
        return await plain(address, port, seconds, source)

    return walled
