"""Files and directories that appear whole."""

import ctypes
import os
import shutil
from functools import cache
from pathlib import Path
from typing import Any

_HERE = -100
_EXCHANGE = 2
"""AT_FDCWD and RENAME_EXCHANGE of Linux."""


def put_in_place(draft: Path, destination: Path) -> None:
    """Give a finished file or directory its name; what bore it before is there until then, and gone afterwards.

    Raises FileNotFoundError when the draft is gone; the destination is as it was then.
    """
    if not (draft.is_dir() and destination.is_dir()):
        draft.rename(destination)
    elif exchange(draft, destination):
        shutil.rmtree(draft, ignore_errors=True)
    else:
        _take_turns(draft, destination)


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
    replaced = draft.with_name(f"{draft.name}.replaced")
    shutil.rmtree(replaced, ignore_errors=True)
    destination.rename(replaced)
    try:
        draft.rename(destination)
    except OSError:
        replaced.rename(destination)
        raise
    shutil.rmtree(replaced, ignore_errors=True)


@cache
def _renameat2() -> Any:
    return getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
