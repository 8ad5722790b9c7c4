"""What is mounted below a folder, and unmounting all of it."""

import ctypes
import os
from pathlib import Path
from typing import Final

_MOUNTS: Final = Path("/proc/self/mountinfo")
_DETACH: Final = 2


def below(directory: Path, mountinfo: str) -> list[str]:
    """Return the mount points below `directory`, the latest first, as each may lie on an earlier one."""
    points = [_plain(line.split()[4]) for line in mountinfo.splitlines()]
    return [point for point in reversed(points) if point.startswith(f"{directory}/")]


def unmount_below(directory: Path) -> None:
    """Unmount everything below `directory`; raises OSError when something stays."""
    library = ctypes.CDLL(None, use_errno=True)
    while points := below(directory, _MOUNTS.read_text(encoding="utf-8")):
        for point in points:
            if library.umount2(os.fsencode(point), _DETACH):
                raise OSError(ctypes.get_errno(), "cannot unmount", point)


def _plain(escaped: str) -> str:
    return escaped.encode("ascii").decode("unicode_escape")  # the kernel writes a space as \040
