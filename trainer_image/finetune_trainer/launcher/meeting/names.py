"""Finding an address by its name, and telling a name that is not known yet from a name server that is silent."""

import asyncio
import os
import socket
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

from finetune_trainer.launcher.meeting.threads import in_thread

LOOKUP_SECONDS: Final = 3.0
ANSWER_SECONDS: Final = 2.0
_UNKNOWN: Final = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))
_DNS_PORT: Final = 53

Resolve = Callable[..., Sequence[Any]]


class UnknownName(OSError):
    """Nobody knows the name, so far."""


class SilentDns(OSError):
    """No name server answers."""


async def addresses(name: str, *, resolve: Resolve = socket.getaddrinfo, alive: "Alive | None" = None) -> list[str]:
    """Return the IP addresses of `name`; raises UnknownName or SilentDns after a few seconds at most.

    The C library takes a minute to give up on a dead name server, and calls it a temporary failure as well when the
    cluster's server is fine and only has no uplink to ask for a name that it does not know. So it is asked directly.
    """
    try:
        async with asyncio.timeout(LOOKUP_SECONDS):
            found = await in_thread(lambda: resolve(name, None, type=socket.SOCK_STREAM))
        return [str(entry[4][0]) for entry in found]
    except socket.gaierror as error:
        if error.errno in _UNKNOWN:
            raise UnknownName(f"the name {name} is not known: {error.strerror}") from error
        reason = str(error.strerror)
    except TimeoutError:
        reason = f"no answer within {LOOKUP_SECONDS:g} s"
    if await (alive or name_server_answers)(name):
        raise UnknownName(f"the name {name} is not known: {reason}")
    raise SilentDns(f"no name server answers ({reason})")


Alive = Callable[[str], Any]


async def name_server_answers(name: str, *, settings: Path = Path("/etc/resolv.conf"), port: int = _DNS_PORT) -> bool:
    """Whether a name server answers at all, be it that it knows no such name."""
    servers, domain = _resolver(settings)
    query = _query(f"{name}.{domain}" if domain else name)
    answers = await asyncio.gather(*(in_thread(partial(_ask, server, port, query)) for server in servers))
    return any(answers)


def _resolver(settings: Path) -> tuple[list[str], str]:
    """The name servers, and the domain that is searched first: the cluster's own server speaks for it itself."""
    lines = [line.split() for line in settings.read_text(encoding="utf-8").splitlines()] if settings.exists() else []
    servers = [words[1] for words in lines if len(words) > 1 and words[0] == "nameserver"]
    domains = [words[1] for words in lines if len(words) > 1 and words[0] in ("search", "domain")]
    return servers or ["127.0.0.1"], domains[-1] if domains else ""


def _ask(server: str, port: int, query: bytes) -> bool:
    with suppress(OSError), socket.socket(_family(server), socket.SOCK_DGRAM) as client:
        client.settimeout(ANSWER_SECONDS)
        client.connect((server, port))
        client.send(query)
        return client.recv(512)[:2] == query[:2]
    return False


def _family(server: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in server else socket.AF_INET


def _query(name: str) -> bytes:
    """A question for the address of a name, as RFC 1035 writes it."""
    labels = [label.encode("idna")[:63] for label in name.strip(".").split(".") if label]
    question = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    return os.urandom(2) + struct.pack(">5H", 0x0100, 1, 0, 0, 0) + question + struct.pack(">2H", 1, 1)
