"""Names: one that is not known yet, a server that is silent, and a library that cannot tell the two apart."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from finetune_trainer.launcher.meeting import names
from finetune_trainer.launcher.meeting.names import SilentDns, UnknownName, addresses, name_server_answers

AGAIN = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


async def alive(name: str) -> bool:
    return True


async def dead(name: str) -> bool:
    return False


def failing(error: Exception) -> Any:
    def resolve(*_: object, **__: object) -> Any:
        raise error

    return resolve


def test_a_name_becomes_its_addresses() -> None:
    assert "127.0.0.1" in asyncio.run(addresses("127.0.0.1"))


def test_a_name_that_nobody_knows_is_told_apart() -> None:
    missing = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    with pytest.raises(UnknownName, match=r"job-0-0\.job is not known"):
        asyncio.run(addresses("job-0-0.job", resolve=failing(missing), alive=dead))


def test_a_temporary_failure_of_a_server_that_answers_is_an_unknown_name() -> None:
    with pytest.raises(UnknownName):
        asyncio.run(addresses("job-0-0.job", resolve=failing(AGAIN), alive=alive))


def test_a_temporary_failure_without_any_answer_is_a_silent_server() -> None:
    with pytest.raises(SilentDns, match="no name server answers"):
        asyncio.run(addresses("job-0-0.job", resolve=failing(AGAIN), alive=dead))


def test_a_lookup_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "LOOKUP_SECONDS", 0.2)
    release = threading.Event()
    ended: list[bool] = []

    def hang(*_: object, **__: object) -> list[object]:
        release.wait(120)
        ended.append(True)
        return []

    with pytest.raises(SilentDns, match=r"no answer within 0\.2 s"):
        asyncio.run(addresses("job-0-0.job", resolve=hang, alive=dead))
    assert not ended, "the lookup was waited for"
    release.set()


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        udp.settimeout(120)
        yield udp


def _settings(tmp_path: Path) -> Path:
    path = tmp_path / "resolv.conf"
    path.write_text("search training.svc.cluster.local svc.cluster.local\nnameserver 127.0.0.1\noptions ndots:5\n")
    return path


def test_a_server_that_answers_anything_is_alive(
    server: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "ANSWER_SECONDS", 60.0)
    asked: list[bytes] = []

    def refuse() -> None:
        query, client = server.recvfrom(512)
        asked.append(query)
        server.sendto(query[:2] + b"\x81\x83" + query[4:], client)  # NXDOMAIN

    thread = threading.Thread(target=refuse)
    thread.start()
    port = server.getsockname()[1]
    assert asyncio.run(name_server_answers("job-0-0.job", settings=_settings(tmp_path), port=port))
    thread.join()
    # Asked for a name of the cluster's own, so that a server without an uplink can answer too.
    assert b"\x07job-0-0\x03job\x08training\x03svc\x07cluster\x05local\x00" in asked[0]


def test_a_server_that_drops_questions_is_not(
    server: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "ANSWER_SECONDS", 0.2)
    port = server.getsockname()[1]
    assert not asyncio.run(name_server_answers("job-0-0.job", settings=_settings(tmp_path), port=port))


def test_an_answer_to_another_question_does_not_count(server: socket.socket, tmp_path: Path) -> None:
    def confuse() -> None:
        query, client = server.recvfrom(512)
        server.sendto(bytes([query[0] ^ 1]) + query[1:], client)

    thread = threading.Thread(target=confuse)
    thread.start()
    port = server.getsockname()[1]
    assert not asyncio.run(name_server_answers("job-0-0.job", settings=_settings(tmp_path), port=port))
    thread.join()


def test_a_machine_without_settings_asks_itself(tmp_path: Path) -> None:
    assert names._resolver(tmp_path / "none") == (["127.0.0.1"], "")
