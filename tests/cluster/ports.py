"""Free ports that no outgoing connection takes away before a server listens on them."""

import random
import socket
from typing import Final

_BELOW_EPHEMERAL: Final = range(20_000, 30_000)  # Linux gives clients 32768 and above
_TRIES: Final = 100


def free_port() -> int:
    """Return a port on which nobody listens now; random, so that two test runs rarely want the same."""
    for _ in range(_TRIES):
        port = random.choice(_BELOW_EPHEMERAL)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("0.0.0.0", port))
            except OSError:
                continue
            return port
    raise OSError(f"no free port after {_TRIES} tries")
