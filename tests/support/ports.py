"""Ports for tests that listen."""

import os
import random
import socket
from typing import Final

_PORTS: Final = range(12_000, 20_000)
"""Below those of outgoing connections, and those that the CLI and the clusters of tests choose for themselves."""
_TRIES: Final = 200

_given: set[int] = set()


def free_port() -> int:
    """Return a port of the loopback interface on which nobody listens now, and which no other test is given.

    Each of the processes that test at once has a share of its own: a server may come to listen seconds later.
    """
    share = _share_of(
        os.environ.get("PYTEST_XDIST_WORKER", "gw0"), int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    )
    for _ in range(_TRIES):
        port = random.choice(share)
        if port not in _given and _is_free(port):
            _given.add(port)
            return port
    raise OSError(f"no free port from {share[0]} to {share[-1]} after {_TRIES} tries")


def _share_of(worker: str, workers: int) -> range:
    return _PORTS[int(worker.removeprefix("gw")) % workers :: workers]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
