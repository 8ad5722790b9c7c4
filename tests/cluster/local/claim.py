"""One local cluster at a time on a machine, and none that outlives whoever claimed it."""

import contextlib
import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from cluster.binaries import ToolMissing
from cluster.local import remains

_LOCK: Final = Path("/run/finetune-cluster.lock")
_TESTS: Final = Path(__file__).parents[2]


@contextlib.contextmanager
def claimed(directory: Path, patience: float = 0.0) -> Iterator[None]:
    """Hold `directory` for a local cluster; at the end, however it comes, everything of it is removed.

    A process of its own does the removing: it waits until this one lets go of a pipe, by leaving or by dying.
    Another cluster on this machine is waited for, `patience` seconds long; raises ToolMissing afterwards.
    """
    with _lock(patience) as lock:
        _remove_earlier(lock)
        directory.mkdir(parents=True)
        remains.remember(directory)
        lock.write(f"{os.getpid()} {directory}")
        lock.flush()
        with _reaper(directory, lock) as reaper:
            yield
        if reaper.returncode:
            raise OSError(f"the cluster in {directory} could not be removed; its remover's words are above")


@contextlib.contextmanager
def _lock(patience: float) -> Iterator[IO[str]]:
    with _LOCK.open("a+", encoding="utf-8") as lock:
        deadline = time.monotonic() + patience
        while not _taken(lock):
            if time.monotonic() > deadline:
                raise ToolMissing(_occupied(lock))
            time.sleep(0.5)
        yield lock


def _taken(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _occupied(lock: IO[str]) -> str:
    lock.seek(0)
    pid = lock.read().partition(" ")[0] or "?"
    return (
        f"another local cluster runs on this machine, started by process {pid}; `make cluster-down` ends one that "
        "`make cluster` started"
    )


def _remove_earlier(lock: IO[str]) -> None:
    """Remove what a killed run left, then forget it."""
    lock.seek(0)
    _, _, directory = lock.read().partition(" ")
    if directory:
        remains.remove(Path(directory))
    lock.truncate(0)


@contextlib.contextmanager
def _reaper(directory: Path, lock: IO[str]) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "cluster.local.reaper", str(directory)]
    environment = {**os.environ, "PYTHONPATH": str(_TESTS)}
    # It inherits the lock, which is therefore free only when the removing is done, also if this process is killed.
    keep = (lock.fileno(),)
    process = subprocess.Popen(command, stdin=subprocess.PIPE, env=environment, start_new_session=True, pass_fds=keep)
    try:
        yield process
    finally:
        process.communicate()
