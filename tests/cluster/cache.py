"""The directory that keeps what test runs build: shared by checkouts, safe for several processes at once."""

import contextlib
import fcntl
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path


def root() -> Path:
    """Return the cache directory: FINETUNE_TEST_CACHE, or `finetune-operator` in the user's cache."""
    if chosen := os.environ.get("FINETUNE_TEST_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "finetune-operator"


def system() -> tuple[str, str]:
    """Return operating system and processor, by Go's names."""
    machine = platform.machine().lower()
    return sys.platform, {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def keep(path: Path, make: Callable[[Path], None], say: Callable[[str], None]) -> Path:
    """Return `path`, made once if it is missing: `make` fills another path, which then takes this name."""
    if path.exists():
        return path
    with locked(path, say):
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            workshop = Path(tempfile.mkdtemp(prefix=".making-", dir=path.parent))
            try:
                make(workshop / path.name)
                (workshop / path.name).rename(path)
            finally:
                shutil.rmtree(workshop, ignore_errors=True)
    return path


@contextlib.contextmanager
def locked(path: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock of `path` among all processes of this machine; the kernel frees it when a holder dies."""
    locks = root() / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    with (locks / f"{path.parent.name}-{path.name}").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"{path.name}: waiting for another process that makes it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
