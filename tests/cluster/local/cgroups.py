"""Control groups of a node: every process of every pod is in one of them, so that all can be found and ended."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cluster.local.site import PREFIX, Site

_ROOT: Final = Path("/sys/fs/cgroup")


def create(site: Site) -> None:
    """Make the node's group in every hierarchy; the kubelet expects it."""
    for hierarchy in hierarchies(Path("/proc/self/mountinfo").read_text(encoding="utf-8")):
        (hierarchy / site.cgroup.lstrip("/")).mkdir(exist_ok=True)


def hierarchies(mountinfo: str) -> list[Path]:
    """Return where control groups are mounted: every controller's tree, or the one tree of version 2 alone."""
    mounts = [_mount(line) for line in mountinfo.splitlines()]
    first = [place for kind, place in mounts if kind == "cgroup"]
    return first or [place for kind, place in mounts if kind == "cgroup2"]


def kill(name: str = f"{PREFIX}-*") -> bool:
    """End every process in groups of this name; returns whether there was one."""
    found = {pid for group in _groups(name) for pid in _members(group)}
    for pid in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return bool(found)


def remove() -> None:
    """Remove all our groups, innermost first; they must be empty."""
    for top in _groups(f"{PREFIX}-*"):
        for folder, _, _ in os.walk(top, topdown=False):
            with contextlib.suppress(FileNotFoundError):
                Path(folder).rmdir()


def _groups(name: str) -> list[Path]:
    return [*_ROOT.glob(name), *_ROOT.glob(f"*/{name}")]


def _members(top: Path) -> Iterator[int]:
    for file in top.rglob("cgroup.procs"):
        with contextlib.suppress(OSError):  # the group may vanish meanwhile
            yield from map(int, file.read_text(encoding="ascii").split())


def _mount(line: str) -> tuple[str, Path]:
    before, after = line.split(" - ", 1)
    return after.split()[0], Path(before.split()[4])
