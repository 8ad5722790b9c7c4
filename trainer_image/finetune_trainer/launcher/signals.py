"""Signals as values: handlers only take notes, the launcher's loop acts on them."""

import os
import selectors
import signal
from contextlib import suppress
from types import FrameType, TracebackType

REQUESTS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class SignalInbox:
    """Collects the signals that ask this process to leave, and wakes a selector when one comes."""

    def __init__(self) -> None:
        self._received: list[signal.Signals] = []
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)

    def __enter__(self) -> "SignalInbox":
        self._previous = {number: signal.signal(number, self._note) for number in REQUESTS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        os.close(self._reader)
        os.close(self._writer)

    def register(self, selector: selectors.BaseSelector) -> None:
        """Have `selector` wake up when a signal arrives."""
        selector.register(self._reader, selectors.EVENT_READ)

    def has_any(self) -> bool:
        """Whether a signal has come that nobody has taken yet."""
        return bool(self._received)

    def take(self) -> list[signal.Signals]:
        """The signals received since the last call, in order; a hang-up counts as SIGTERM."""
        with suppress(BlockingIOError):
            os.read(self._reader, 1024)
        received, self._received = self._received, []
        return [signal.SIGTERM if number == signal.SIGHUP else number for number in received]

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._received.append(signal.Signals(number))
        with suppress(BlockingIOError):  # the pipe is full: the selector will wake up anyway
            os.write(self._writer, b"!")
