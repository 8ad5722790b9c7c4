"""Trying again, and saying meanwhile that something is still going on."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from finetune_api.errors import Retryable

DELAYS = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Seconds between the tries; with their own timeouts they bound how long a broken network is believed in."""

_TELL_SECONDS = 15.0

T = TypeVar("T")


def with_retries(action: Callable[[], T], *, delays: Sequence[float] = DELAYS) -> T:
    """Return what `action` returns; as long as it raises Retryable it is tried again, and the last one is raised."""
    for delay in delays:
        try:
            return action()
        except Retryable as error:
            print(f"{error}; trying again in {delay:g} s", flush=True)
            time.sleep(delay)
    return action()


@contextmanager
def telling_size(what: str, directory: Path) -> Iterator[None]:
    """Print now and then how much lies in `directory` while something is fetched into it."""
    over = threading.Event()

    def tell() -> None:
        while not over.wait(_TELL_SECONDS):
            print(f"{what}: {megabytes(size_of(directory))} so far", flush=True)

    thread = threading.Thread(target=tell, daemon=True, name="telling-size")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def size_of(directory: Path) -> int:
    """Return the bytes of all files below a directory; those that vanish meanwhile do not count."""
    total = 0
    for path in directory.rglob("*"):
        try:
            total += 0 if path.is_symlink() or path.is_dir() else path.stat().st_size
        except OSError:
            continue
    return total


def require_room(directory: Path, size: int) -> None:
    """Raise Retryable when `size` bytes do not fit on the disk of `directory`."""
    free = shutil.disk_usage(directory).free
    if size > free:
        raise Retryable(
            f"{megabytes(size)} are to be fetched, and {directory} has room for {megabytes(free)}",
            hint="Make room on the output volume, or use a larger one.",
        )


def megabytes(size: int) -> str:
    """Return a size for people."""
    return f"{size / 1e6:.1f} MB"
