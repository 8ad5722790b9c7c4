import contextlib
import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from finetune_trainer.observe import RunState, Server, serve
from finetune_trainer.observe import server as server_module

LONG = 600.0
"""Seconds that a client may take: longer than any test waits for an answer."""
PATIENCE = 60.0


@pytest.fixture
def state() -> RunState:
    return RunState()


@pytest.fixture
def server(state: RunState) -> Iterator[Server]:
    running = serve(state, 0, host="127.0.0.1", client_seconds=LONG)
    yield running
    running.close()


def _get(server: Server, path: str) -> tuple[str, str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=PATIENCE) as answer:
        return answer.headers["Content-Type"], answer.read().decode()


def _connect(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)


def test_progress_is_the_newest_state_as_json(server: Server, state: RunState) -> None:
    state.update(phase="train", step=3, total_steps=12, loss=2.25)
    content_type, body = _get(server, "/progress")
    assert content_type == "application/json"
    assert json.loads(body) == state.snapshot()
    state.update(step=4)
    assert json.loads(_get(server, "/progress?pretty=1")[1])["step"] == 4


def test_metrics_are_in_prometheus_text_format(server: Server, state: RunState) -> None:
    state.update(step=3)
    content_type, body = _get(server, "/metrics")
    assert content_type.startswith("text/plain; version=")
    assert "\nfinetune_step 3.0\n" in body


def test_another_path_says_what_there_is(server: Server) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        _get(server, "/etc/passwd")
    with refused.value as answer:
        assert answer.code == 404
        assert b"/progress and /metrics" in answer.read()


def test_silent_clients_leave_the_server_answering(server: Server) -> None:
    silent = [_connect(server) for _ in range(server_module.MAX_CLIENTS - 1)]
    assert _get(server, "/progress")[1]
    for client in silent:
        client.close()


def test_a_client_beyond_the_limit_is_turned_away_at_once(server: Server) -> None:
    silent = [_connect(server) for _ in range(server_module.MAX_CLIENTS)]
    with _connect(server) as extra:
        assert extra.recv(1) == b""
    for client in silent:
        client.close()


def test_a_client_that_drips_is_cut_off_when_its_time_is_up(state: RunState) -> None:
    server = serve(state, 0, host="127.0.0.1", client_seconds=0.3)
    connected = time.monotonic()
    with _connect(server) as client:
        cut_off = _drip_until_cut_off(client)
    server.close()
    assert 0.3 <= cut_off - connected < PATIENCE


def _drip_until_cut_off(client: socket.socket) -> float:
    """Return when that was, by the monotonic clock."""
    started = time.monotonic()
    with contextlib.suppress(OSError):  # broken pipe or reset, by timing
        while time.monotonic() - started < PATIENCE:
            client.send(b"G")
            time.sleep(0.05)
    return time.monotonic()


def test_closing_does_not_wait_for_a_client_that_says_nothing(state: RunState) -> None:
    server = serve(state, 0, host="127.0.0.1", client_seconds=LONG)
    with _connect(server):
        started = time.monotonic()
        server.close()
        assert time.monotonic() - started < PATIENCE
        with pytest.raises(OSError):  # noqa: PT011  # refused or reset: the point is that nobody listens
            _connect(server)


def test_closing_twice_is_harmless(state: RunState) -> None:
    server = serve(state, 0, host="127.0.0.1")
    server.close()
    server.close()


def test_a_port_in_use_is_an_error_of_the_operating_system(server: Server, state: RunState) -> None:
    with pytest.raises(OSError, match="in use"):
        serve(state, server.port, host="127.0.0.1")
