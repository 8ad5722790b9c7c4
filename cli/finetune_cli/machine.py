"""What this machine offers: GPUs and ports."""

import os
import random
import re
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from finetune_api.errors import Retryable

_RENDEZVOUS_PORTS = (20000, 32000)
"""Below the ports that Linux (from 32768) and macOS (from 49152) give to outgoing connections."""


def visible_gpus(environment: Mapping[str, str] = os.environ, devices: Path = Path("/dev")) -> int:
    """How many GPUs a process may use, without asking a library that takes seconds to load."""
    chosen = environment.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return len([part for part in chosen.split(",") if part.strip() not in ("", "-1")])
    return len([entry for entry in devices.glob("nvidia*") if re.fullmatch(r"nvidia\d+", entry.name)])


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
