"""A port that drops packets as a firewall does, without being root."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def dropping_port(address: str = "127.0.0.1") -> Iterator[int]:
    """A port on which new connections are neither accepted nor refused: the kernel drops what its queue cannot hold."""
    with socket.create_server((address, 0), backlog=0) as server:
        port = int(server.getsockname()[1])
        fillers = [_filler(address, port) for _ in range(4)]
        try:
            yield port
        finally:
            for filler in fillers:
                filler.close()


def _filler(address: str, port: int) -> socket.socket:
    filler = socket.socket()
    filler.setblocking(False)
    with suppress(BlockingIOError):
        filler.connect((address, port))
    return filler
