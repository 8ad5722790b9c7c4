"""What this machine offers: ports."""

import random
import socket
from contextlib import suppress

from finetune_api.errors import Retryable

_RENDEZVOUS_PORTS = (20000, 32000)
"""Below the ports that Linux (from 32768) and macOS (from 49152) give to outgoing connections."""


def free_port() -> int:
    """A TCP port of the loopback interface on which nothing listens, and which no outgoing connection can take.

    torchrun listens on it seconds later; a port that the system had chosen would by then often belong to a connection.
    """
    for _ in range(100):
        port = random.randint(*_RENDEZVOUS_PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise Retryable(f"no free port between {_RENDEZVOUS_PORTS[0]} and {_RENDEZVOUS_PORTS[1]}")
