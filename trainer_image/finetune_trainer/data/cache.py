"""Prepared directories under their content hash: built aside, renamed into place, never changed after."""

import errno
import fcntl
import json
import os
import shutil
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from finetune_api.errors import ConfigInvalid, Retryable
from finetune_trainer.data.prepared import MANIFEST, PreparedData, load_prepared, manifest_text
from finetune_trainer.disk_errors import DISK_FULL

_UNFINISHED = ".building-"
# A lock says for certain whether a builder of this machine lives; of others it may not reach us.
_FOREIGN_SECONDS = 3600.0


def default_cache() -> Path:
    """Return `$FINETUNE_CACHE`, or `finetune` in the user's cache directory."""
    if configured := os.environ.get("FINETUNE_CACHE"):
        return Path(configured).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "finetune"


class Cache:
    """A directory of prepared data, shared by any number of processes and machines."""

    def __init__(self, root: Path) -> None:
        root = root.absolute()
        self._prepared = root / "prepared"
        self._remembered = root / "remembered"

    def find(self, sha256: str) -> PreparedData | None:
        """Return the prepared data with this hash, if it is there and whole."""
        try:
            data = load_prepared(self._prepared / sha256)
            whole = all(split.path.stat().st_size == split.size for split in data.splits.values())
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return data if whole and data.sha256 == sha256 else None

    def recall(self, key: str) -> Any:
        """Return what was remembered under `key`, None when nothing was."""
        try:
            return json.loads((self._remembered / f"{key}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def remember(self, key: str, value: object) -> None:
        """Keep a JSON-able value for `recall`."""
        with _explained_disk_errors(self._remembered):
            self._remembered.mkdir(parents=True, exist_ok=True)
            aside = self._remembered / f".{uuid.uuid4().hex}"
            aside.write_text(json.dumps(value), encoding="utf-8")
            aside.replace(self._remembered / f"{key}.json")

    @contextmanager
    def building(self) -> Iterator[Path]:
        """Give a private directory to build in; what is left of it, or of a dead builder's, is removed."""
        with _explained_disk_errors(self._prepared):
            self._prepared.mkdir(parents=True, exist_ok=True)
            self._remove_abandoned()
            directory = self._prepared / f"{_UNFINISHED}{socket.gethostname()}-{uuid.uuid4().hex}"
            with _lock_file(directory).open("w") as lock:
                _try_lock(lock)
                try:
                    directory.mkdir()
                    yield directory
                finally:
                    shutil.rmtree(directory, ignore_errors=True)
                    _lock_file(directory).unlink(missing_ok=True)

    def publish(self, data: PreparedData) -> PreparedData:
        """Complete the directory that `data` was built in and move it to its place; the first one wins."""
        with _explained_disk_errors(self._prepared):
            for split in data.splits.values():
                _make_durable(split.path)
            _write_durably(data.directory / MANIFEST, manifest_text(data))
            final = self._prepared / data.sha256
            for _ in range(2):
                try:
                    data.directory.rename(final)
                    break
                except OSError as error:
                    if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                        raise
                if self.find(data.sha256):
                    break
                # Damaged, or half removed: nobody can be using it.
                shutil.rmtree(final, ignore_errors=True)
        return load_prepared(final)

    def _remove_abandoned(self) -> None:
        for directory in self._prepared.glob(f"{_UNFINISHED}*"):
            if directory.is_dir() and _is_abandoned(directory):
                shutil.rmtree(directory, ignore_errors=True)
                _lock_file(directory).unlink(missing_ok=True)


def _is_abandoned(directory: Path) -> bool:
    try:
        with _lock_file(directory).open("a") as lock:
            if not _try_lock(lock):
                return False
        is_ours = directory.name.startswith(f"{_UNFINISHED}{socket.gethostname()}-")
        return is_ours or time.time() - directory.stat().st_mtime > _FOREIGN_SECONDS
    except OSError:
        return False


def _lock_file(directory: Path) -> Path:
    return directory.with_name(f"{directory.name}.lock")


def _try_lock(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _write_durably(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())


def _make_durable(path: Path) -> None:
    with path.open("rb") as handle:
        os.fsync(handle.fileno())


@contextmanager
def _explained_disk_errors(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in DISK_FULL:
            raise Retryable(f"{place}: the disk is full.", hint="Free space, then run again.") from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR):
            raise ConfigInvalid(
                f"{place}: prepared data cannot be written here ({error.strerror}).",
                hint="Set FINETUNE_CACHE to a directory that can be written.",
            ) from error
        raise
