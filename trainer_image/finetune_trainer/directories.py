"""Files and directories that appear whole, outlive a loss of power once they have appeared, and vanish at once."""

import ctypes
import os
import shutil
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

SWEPT = ".swept-"
"""How the names begin of what is being removed."""
_REPLACED = ".replaced"
"""Where in a draft that lies which it is about to replace."""
_HERE = -100
_EXCHANGE = 2
"""AT_FDCWD and RENAME_EXCHANGE of Linux."""


def put_in_place(draft: Path, destination: Path) -> None:
    """Give a finished file or directory its name, durably; what bore it before is gone afterwards.

    It is there until then, but for a directory where the file system cannot swap two names (NFS): for a moment there is
    neither. What a process that dies in that moment has taken away, `withdraw` puts back.

    Raises FileNotFoundError when the draft is gone; the destination is as it was then.
    """
    shutil.rmtree(draft / _REPLACED, ignore_errors=True)  # of such a process, whose draft somebody has finished
    make_durable(draft)
    both = draft.is_dir() and destination.is_dir()
    if not both:
        draft.rename(destination)
    elif not exchange(draft, destination):
        _take_turns(draft, destination)
    sync(destination.parent)
    if both:
        shutil.rmtree(draft, ignore_errors=True)
        discard(destination / _REPLACED, destination.parent)


def exchange(first: Path, second: Path) -> bool:
    """Let two paths swap their names at once; False where the file system cannot do that."""
    rename = _renameat2()
    if rename is None:
        return False
    if rename(_HERE, os.fsencode(first), _HERE, os.fsencode(second), _EXCHANGE) == 0:
        return True
    if not os.path.lexists(first):
        raise FileNotFoundError(f"{first} is gone")
    return False


def _take_turns(draft: Path, destination: Path) -> None:
    """Move the destination into the draft and the draft to the destination.

    Both renames need the draft, so whoever withdraws it keeps a process that comes too late from touching anything.
    """
    old = draft / _REPLACED
    with suppress(FileNotFoundError):  # of the draft, as the next rename will tell, or of what was to be replaced
        destination.rename(old)
    try:
        draft.rename(destination)
    except OSError:
        with suppress(OSError):  # whoever has withdrawn the draft has put it back
            old.rename(destination)
        raise


def discard(path: Path, folder: Path | None = None) -> None:
    """Remove a file or directory at once for whoever would use it, and its content, moved to `folder`, afterwards."""
    swept = _set_aside(path, folder or path.parent)
    if swept is not None:
        _remove(swept)


def withdraw(draft: Path, destination: Path) -> None:
    """Discard the draft of a process that may have died, or may yet wake up, while it was putting it in place."""
    swept = _set_aside(draft, draft.parent)
    if swept is None:
        return
    old = swept / _REPLACED
    if old.is_dir() and not os.path.lexists(destination):
        old.rename(destination)
    _remove(swept)


def make_durable(path: Path) -> None:
    """Have a file, or a directory with all that is in it, outlive a loss of power; raises FileNotFoundError if gone."""
    for folder, _, names in os.walk(path, topdown=False):
        for file in (Path(folder, name) for name in names):
            if file.is_file() and not file.is_symlink():
                sync(file)
        sync(Path(folder))
    if not path.is_dir():
        sync(path)


def sync(path: Path) -> None:
    """Make a file's content, or the names in a directory, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _set_aside(path: Path, folder: Path) -> Path | None:
    swept = path if path.name.startswith(SWEPT) else folder / f"{SWEPT}{uuid4().hex}"
    try:
        return path.rename(swept)
    except FileNotFoundError:
        return None


def _remove(swept: Path) -> None:
    if swept.is_dir() and not swept.is_symlink():
        shutil.rmtree(swept, ignore_errors=True)
    else:
        swept.unlink(missing_ok=True)


@cache
def _renameat2() -> Any:
    return getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
