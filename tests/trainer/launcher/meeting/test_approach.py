"""The way to node 0: what is waited for, what is a fault, and whom it names."""

import asyncio
import socket
import time
from typing import Any

import pytest

from finetune_trainer.launcher.meeting import MeetingFault, MeetingOver, approach, patience
from finetune_trainer.launcher.meeting.approach import blamed, find_name, find_node_0
from finetune_trainer.launcher.meeting.door import Door
from finetune_trainer.launcher.meeting.names import SilentDns, UnknownName
from support.dropping import dropping_port
from support.meetings import meeting
from support.ports import free_port

PEERS = "127.0.0.{rank}9"


@pytest.fixture
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "ROUTE_SECONDS", 0.5)
    monkeypatch.setattr(patience, "DNS_SECONDS", 0.3)
    monkeypatch.setattr(approach, "TRY_SECONDS", 0.3)


@pytest.mark.usefixtures("_hasty")
def test_dropped_packets_are_a_fault_long_before_the_kernel_gives_up() -> None:
    began = time.monotonic()
    with dropping_port() as port:
        fault = _failing(port=port)
    assert isinstance(fault, MeetingFault)
    assert fault.suspects == [0, 1]
    assert f"node 1 cannot connect to node 0 at 127.0.0.1:{port}, though its name has an address" in str(fault)
    assert time.monotonic() - began < 60  # the kernel takes two minutes


@pytest.mark.usefixtures("_hasty")
def test_a_port_at_which_nobody_listens_yet_is_no_fault() -> None:
    over = _failing(timeout=1.0)
    assert isinstance(over, MeetingOver)
    assert "could not be reached within 1 s" in str(over)


@pytest.mark.usefixtures("_hasty")
@pytest.mark.parametrize(("met", "suspects"), [(True, [2]), (False, [0])])
def test_the_others_are_asked_whether_they_reach_node_0(met: bool, suspects: list[int]) -> None:
    async def ask(port: int) -> Any:
        other = Door(meeting(1, 3, port=port, peers=PEERS, bind="127.0.0.19"))
        other.met = met
        other.trying_since -= 10
        await other.open()
        try:
            return await _ends(port=port, rank=2, nodes=3, peers=PEERS)
        finally:
            await other.close()

    with dropping_port() as port:
        fault = asyncio.run(ask(port))
    assert isinstance(fault, MeetingFault)
    assert fault.suspects == suspects


@pytest.mark.usefixtures("_hasty")
def test_name_servers_that_do_not_answer_are_this_nodes_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(name: str) -> list[str]:
        raise SilentDns("no name server answers")

    monkeypatch.setattr(approach, "addresses", silent)
    fault = _failing(rank=3, nodes=4)
    assert isinstance(fault, MeetingFault)
    assert fault.suspects == [3]
    assert "cannot look up 127.0.0.1" in str(fault)


def test_a_name_that_appears_late_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[Exception] = [UnknownName("not known"), SilentDns("once"), UnknownName("not known")]

    async def late(name: str) -> list[str]:
        if answers:
            raise answers.pop()
        return ["127.0.0.1"]

    monkeypatch.setattr(approach, "addresses", late)
    assert asyncio.run(find_name(meeting())) == ["127.0.0.1"]


def test_waiting_is_told_now_and_then(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(approach, "TELL_SECONDS", 0.2)

    async def told() -> None:
        waiting, said = asyncio.create_task(_ends(timeout=600.0)), ""
        async with asyncio.timeout(60):
            while "preflight: waiting for node 0 at 127.0.0.1:" not in said:
                await asyncio.sleep(0.01)
                said += capsys.readouterr().out
        waiting.cancel()

    asyncio.run(told())


@pytest.mark.parametrize(
    ("answers", "suspects"),
    [
        ({1: True, 2: False}, [3]),
        ({1: False, 2: None}, [0]),
        ({1: None, 2: None}, [3]),
        ({}, [0, 3]),
    ],
)
def test_whoever_the_others_clear_is_not_suspected(answers: dict[int, bool | None], suspects: list[int]) -> None:
    assert blamed(meeting(3, 4), answers)[0] == suspects


def _failing(**more: Any) -> Any:
    return asyncio.run(_ends(**more))


async def _ends(*, rank: int = 1, nodes: int = 2, port: int | None = None, **more: Any) -> Any:
    try:
        line = await find_node_0(meeting(rank, nodes, port=port or free_port(), **more))
    except (MeetingFault, MeetingOver) as end:
        return end
    raise AssertionError(f"connected to {line.peer}")


def test_the_drop_really_is_one() -> None:
    with dropping_port() as port, pytest.raises(TimeoutError):
        socket.create_connection(("127.0.0.1", port), timeout=0.3)
