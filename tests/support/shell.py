"""Runs the installed `finetune` command, and commands written in the documentation, as a user would."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent


def quiet_environment(cache: Path) -> dict[str, str]:
    """Return an environment with a cache of its own, one thread per process and no model hub."""
    own = {"FINETUNE_CACHE": str(cache), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "NO_COLOR": "1"}
    return {**os.environ, **own}


def finetune(
    *arguments: str | Path, cache: Path, cwd: Path = ROOT, timeout: float = 550
) -> subprocess.CompletedProcess[str]:
    """Run `finetune` from the root of the repository and return what it did, output and errors together."""
    command = [str(BIN / "finetune"), *map(str, arguments)]
    return run(command, cwd=cwd, cache=cache, timeout=timeout)


def run(
    command: Sequence[str] | str, *, cwd: Path, cache: Path, timeout: float = 550
) -> subprocess.CompletedProcess[str]:
    """Run a command, or a line of shell, and return what it did, output and errors together."""
    return subprocess.run(
        command,
        cwd=cwd,
        env=quiet_environment(cache),
        shell=isinstance(command, str),
        executable="/bin/bash" if isinstance(command, str) else None,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        check=False,
    )
