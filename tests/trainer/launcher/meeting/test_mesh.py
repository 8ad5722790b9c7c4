"""The ways between nodes: one that lets single messages through and loses large packets."""

import asyncio
import socket
from typing import Any

import pytest

from finetune_trainer.launcher.meeting import Verdict, coordinator, door, mesh, wire
from finetune_trainer.launcher.meeting.door import Door
from finetune_trainer.launcher.meeting.mesh import reach_all, send_sample
from finetune_trainer.launcher.meeting.wire import Line
from support.dropping import dropping_port
from support.meetings import all_meet, meeting

A_HANG = 120.0
"""Seconds after which a test gives up."""


@pytest.fixture
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mesh, "SAMPLE_SECONDS", 3.0)
    monkeypatch.setattr(door, "SAMPLE_SECONDS", 3.0)


@pytest.fixture
def _stalling_at_node_2(monkeypatch: pytest.MonkeyPatch) -> None:
    take_sample, listen = Door._take_sample, door.listen

    def listen_narrowly(address: str | None, port: int) -> socket.socket:
        listener = listen(address, port)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        return listener

    async def stall(self: Door, line: Line) -> None:
        if self._meeting.rank != 2:
            return await take_sample(self, line)
        line.reader._transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(A_HANG)

    monkeypatch.setattr(Door, "_take_sample", stall)
    monkeypatch.setattr(door, "listen", listen_narrowly)


@pytest.mark.usefixtures("_hasty")
def test_a_sample_that_stalls_is_given_up_and_the_mtu_is_asked_about() -> None:
    async def both() -> Any:
        stalled = asyncio.Event()

        async def take_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            await stalled.wait()
            writer.transport.abort()

        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            server = await asyncio.start_server(take_nothing, sock=listener.dup())
        port = server.sockets[0].getsockname()[1]
        try:
            async with asyncio.timeout(A_HANG):
                return await send_sample(meeting(0, 2), {1: ("127.0.0.1", port)})
        finally:
            stalled.set()
            server.close()

    rate, why = asyncio.run(both())
    assert rate is None
    assert "4 MiB did not arrive, although single messages do" in str(why)
    assert "is the MTU right?" in str(why)


def test_so_many_nodes_out_of_reach_that_there_is_no_time_for_all_hold_nobody_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mesh, "CONNECT_SECONDS", 0.5)
    monkeypatch.setattr(mesh, "REACH_SECONDS", 1.2)
    nodes = 40 * 64  # at 64 at once twenty seconds
    with dropping_port() as port:
        roll = dict.fromkeys(range(nodes), ("127.0.0.1", port))
        unreached = asyncio.run(reach_all(meeting(7, nodes), roll))
    assert set(range(8, 72)) <= set(unreached)
    assert len(unreached) < nodes / 2


def test_who_reports_has_had_time_for_all_that_it_reports() -> None:
    last_to_hang_up = 2 * wire.CLOSE_SECONDS
    assert mesh.REACH_SECONDS > mesh.CONNECT_SECONDS + wire.CLOSE_SECONDS
    assert mesh.REACH_SECONDS + door.SAMPLE_SECONDS + last_to_hang_up < coordinator.REPORT_SECONDS


@pytest.mark.usefixtures("_hasty", "_stalling_at_node_2")
def test_a_node_that_large_packets_do_not_reach_is_suspected_and_the_sender_is_not_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(coordinator, "REPORT_SECONDS", 10.0)
    endings = asyncio.run(asyncio.wait_for(all_meet(4), 2 * A_HANG))
    verdict = endings[0]
    assert isinstance(verdict, Verdict)
    assert "node 1 (job-0-1) cannot talk to node 2 (job-0-2): 4 MiB did not arrive" in str(verdict.fault)
    assert 2 in verdict.suspects
    assert endings == [verdict] * 4
