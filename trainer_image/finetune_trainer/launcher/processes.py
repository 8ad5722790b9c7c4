"""Processes that are watched and ended by their process ids, children or not."""

import os
import select
import selectors
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress


class Watched:
    """A process known by its id: whether it lives, a way to wait for its death, a way to end it.

    The ranks are the agent's children, not the launcher's; on Linux a pidfd tells their death at once and is
    never confused by a reused process id. Elsewhere it is found by asking, at the launcher's own pace.
    """

    def __init__(self, name: str, pid: int) -> None:
        self.name = name
        self.pid = pid
        self.killed = False
        """This process was still alive when the launcher ended it."""
        self._pidfd = _open_pidfd(pid)

    def alive(self) -> bool:
        """Whether the process still runs; a zombie does not."""
        if self._pidfd is None:
            return _exists(self.pid)
        return self._pidfd >= 0 and not select.select([self._pidfd], [], [], 0)[0]

    def register(self, selector: selectors.BaseSelector) -> None:
        """Have `selector` wake up when the process dies, where the system can."""
        if self._pidfd is not None and self._pidfd >= 0:
            selector.register(self._pidfd, selectors.EVENT_READ)

    def unregister(self, selector: selectors.BaseSelector) -> None:
        """Undo `register`; a dead process would wake the selector for ever."""
        if self._pidfd is not None and self._pidfd >= 0:
            with suppress(KeyError):
                selector.unregister(self._pidfd)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process alone, not to its helpers."""
        with suppress(ProcessLookupError):
            if self.alive():
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End the process and everything in its group, at once; it leads a session of its own."""
        self.killed = self.killed or self.alive()
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)


class Child(Watched):
    """A process that the launcher itself started, in a session of its own, so that its exit code is known."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        sys.stdout.flush()
        self._process = subprocess.Popen(list(command), env=dict(environment), start_new_session=True)
        super().__init__(name, self._process.pid)

    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """The exit code (negative: the signal), or None while it runs."""
        return self._process.poll()


def _open_pidfd(pid: int) -> int | None:
    """A pidfd; -1 when the process is already gone; None where the system has none."""
    if not hasattr(os, "pidfd_open"):
        return None
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return -1
    except OSError:
        return None


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
