"""Processes of a cluster under test: started with a log, waited for, and never left behind."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Self

_LEASH: Final = Path(__file__).with_name("leash.py")
_TAIL: Final = 25


class ProcessFailed(Exception):
    """A process ended, or did not become ready; the message ends with the last lines of its log."""


class Process:
    """One running command; it dies with this process, so start it from the main thread."""

    def __init__(
        self, name: str, command: Sequence[str | Path], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name, self.log, self._stopped = name, log, False
        leashed = [sys.executable, "-I", "-S", _LEASH, str(os.getpid()), *command]
        with log.open("ab") as file:
            # A session of its own: Ctrl-C reaches pytest alone, which then takes things down in order.
            self._popen = subprocess.Popen(
                leashed,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
                env={**os.environ, **(environment or {})},
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Its process id, which is also that of its process group."""
        return self._popen.pid

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return self._popen.poll() is None

    def wait_ready(self, ready: Callable[[], bool], seconds: float = 60.0) -> None:
        """Wait until `ready` says so; raises ProcessFailed when the process ends before, or time is up."""
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.alive:
                raise self.failure(f"ended with exit code {self._popen.returncode}")
            if time.monotonic() > deadline:
                raise self.failure(f"was not ready after {seconds:.0f} s")
            time.sleep(0.05)

    def failure(self, what: str) -> ProcessFailed:
        """Return the error for this process, with the end of its log."""
        tail = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL:]
        return ProcessFailed("\n".join((f"{self.name} {what}; {self.log} ends with:", *tail)))

    def stop(self, grace: float = 0.0) -> None:
        """End the whole process group: by SIGTERM when there is a grace, and by SIGKILL afterwards."""
        if self._stopped:
            return  # by now its id may be another's
        self._stopped = True
        if grace and self.alive:
            self._signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._popen.wait(grace)
        self._signal(signal.SIGKILL)
        self._popen.wait()

    def _signal(self, number: signal.Signals) -> None:
        # The process id is still ours until it has been waited for, or while others of its group live.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)
