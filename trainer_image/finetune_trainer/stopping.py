"""The wish to stop early, raised by a signal on any rank and agreed on by all of them."""

import signal
from types import FrameType
from typing import Protocol

# SIGTERM outranks SIGINT where ranks were told differently: a preemption does not wait for a person.
_PRIORITY = {signal.SIGINT: 1, signal.SIGTERM: 2}


class Agreement(Protocol):
    """How ranks find the largest of their wishes."""

    def any(self, code: int) -> int:
        """Return the largest code any rank gave."""


class StopFlag:
    """Remembers the signal that asked this rank to save and leave."""

    def __init__(self) -> None:
        self._wish = 0

    def install(self) -> None:
        """Catch SIGTERM and SIGINT from now on; must run in the main thread."""
        for number in _PRIORITY:
            signal.signal(number, self._remember)

    @property
    def wished(self) -> signal.Signals | None:
        """The signal this rank received, whatever the others did."""
        return _signal_of(self._wish)

    def agreed(self, ranks: Agreement) -> signal.Signals | None:
        """Return the signal that all ranks act on, or None; a collective that every rank must reach."""
        return _signal_of(ranks.any(self._wish))

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self._wish = max(self._wish, _PRIORITY[signal.Signals(number)])


def _signal_of(wish: int) -> signal.Signals | None:
    return next((number for number, priority in _PRIORITY.items() if priority == wish), None)
