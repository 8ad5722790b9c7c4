"""How long a node that cannot join the others may take it for a slow start, and when it is a fault."""

import errno
from enum import Enum
from typing import Final

from finetune_trainer.launcher.meeting.names import SilentDns, UnknownName

DNS_SECONDS: Final = 15.0
"""Name servers of a busy cluster may be slow for a while. It counts from the end of the first try, is looked at after
every one, and a try takes five seconds; with the start of a pod below half a minute in all."""
ROUTE_SECONDS: Final = 15.0
"""Network policies take some seconds to let a new pod through."""

_NO_ROUTE: Final = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT, errno.EHOSTDOWN)


class Trouble(Enum):
    """What stands between a node and another one."""

    NOT_THERE = "not there yet"
    """Its name is not known, or nothing listens: its pod waits for a place, or for its image. No fault."""
    NO_DNS = "no DNS"
    NO_ROUTE = "no route"
    """There is an address, and packets to it get lost."""


def trouble_of(error: OSError) -> Trouble:
    """Return what an attempt to connect has met."""
    if isinstance(error, UnknownName):
        return Trouble.NOT_THERE
    if isinstance(error, SilentDns):
        return Trouble.NO_DNS
    return Trouble.NO_ROUTE if isinstance(error, TimeoutError) or error.errno in _NO_ROUTE else Trouble.NOT_THERE


class Patience:
    """Remembers since when the same trouble has lasted without a break."""

    def __init__(self) -> None:
        self._trouble: Trouble | None = None
        self._since = 0.0

    def fault(self, trouble: Trouble, now: float) -> bool:
        """Whether `trouble`, met again at `now` (monotonic seconds), has lasted too long to be a slow start."""
        if trouble is not self._trouble:
            self._trouble, self._since = trouble, now
        bound = {Trouble.NO_DNS: DNS_SECONDS, Trouble.NO_ROUTE: ROUTE_SECONDS}.get(trouble)
        return bound is not None and now - self._since >= bound
