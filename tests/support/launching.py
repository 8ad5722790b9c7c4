"""Starting the launcher as a process of its own, with ranks, preparation and agent that need no torch."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from finetune_api.outcomes import TerminationMessage
from finetune_trainer.run_dir import RunDir
from support.ports import free_port

TESTS = Path(__file__).parents[1]
PATIENCE = 120.0
"""Seconds for anything that has to come: only what never comes takes so long."""


class Launched:
    """A launcher under test, its run directory, and the processes it has started."""

    def __init__(self, root: Path, ranks: Mapping[int, Mapping[str, Any]], options: Mapping[str, Any]) -> None:
        self.dir = RunDir(root / f"node-{options.get('node-rank', 0)}")
        environment = {
            **os.environ,
            "PYTHONPATH": str(TESTS),
            "FAKE_RANKS": json.dumps(ranks),
            "FAKE_PREPARE": json.dumps(options.get("script", {})),
            "OMP_NUM_THREADS": "1",
        }
        self.process = subprocess.Popen(
            _command(root, self.dir.path, len(ranks), options),
            env=environment,
            cwd=root,
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._pids: set[int] = {self.process.pid}

    def __enter__(self) -> "Launched":
        return self

    def __exit__(self, *_: object) -> None:
        for pid in self.survivors():
            os.kill(pid, signal.SIGKILL)
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()

    def rank(self, rank: int) -> int:
        """The process id of a rank, waiting for it to register."""
        wait_until(lambda: rank in self.dir.rank_pids())
        self._pids |= set(self.dir.rank_pids().values()) | set(_children(self.process.pid))
        return self.dir.rank_pids()[rank]

    def pid(self, who: str) -> int:
        """The process id of `launcher`, `agent` or a rank by its number."""
        first = self.rank(min(self.dir.rank_pids(), default=0))
        return {"launcher": self.process.pid, "agent": _parent(first)}.get(who) or self.rank(int(who))

    def send(self, number: signal.Signals, who: str = "launcher") -> None:
        """Send a signal to one of the processes."""
        os.kill(self.pid(who) if who != "launcher" else self.process.pid, number)

    def finish(self, timeout: float = PATIENCE) -> TerminationMessage:
        """Wait for the launcher and return its message, which must agree with its exit code."""
        self.output, _ = self.process.communicate(timeout=timeout)
        text = (self.dir.path / "termination.json").read_bytes()
        assert len(text) <= 4096
        message = TerminationMessage.parse(text.decode())
        assert message is not None
        assert message.exit_code == self.process.returncode, self.output
        return message

    def survivors(self) -> list[int]:
        """Those of the processes seen so far that still run."""
        return [pid for pid in self._pids if process_runs(pid)]


def launch(root: Path, ranks: Mapping[int, Mapping[str, Any]], **options: Any) -> Launched:
    """Start a launcher for one node whose ranks follow `ranks`; options are the launcher's own."""
    return Launched(root, ranks, {name.replace("_", "-"): value for name, value in options.items()})


def wait_until(condition: Callable[[], bool], timeout: float = PATIENCE) -> float:
    """Wait for a condition and return the seconds it took; fail when it does not come true."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() < start + timeout, "waited in vain"
        time.sleep(0.01)
    return time.monotonic() - start


def _command(root: Path, run_dir: Path, nproc: int, options: Mapping[str, Any]) -> Sequence[str]:
    defaults: dict[str, Any] = {
        "config": root / "config.json",
        "output": root / "output",
        "run-dir": run_dir,
        "cache": root / "cache",
        "nproc-per-node": nproc,
        "master-port": free_port(),
        "job-uid": "job",
        "worker-module": "support.fake_worker",
        "prepare-module": "support.fake_prepare",
        "agent-module": "support.fake_agent",
    }
    chosen = {name: value for name, value in {**defaults, **options}.items() if name not in ("script", "launcher")}
    pairs = [(f"--{name}",) if value is True else (f"--{name}", str(value)) for name, value in chosen.items()]
    launcher = options.get("launcher", "finetune_trainer.launcher")
    return [sys.executable, "-m", launcher, *(part for pair in pairs for part in pair)]


def process_runs(pid: int) -> bool:
    """Whether a process lives; a zombie does not."""
    state = _of_process(pid, "state")
    return state != "" and state[0] not in "ZX"


def _parent(pid: int) -> int:
    return int(_of_process(pid, "ppid"))


def _of_process(pid: int, field: str) -> str:
    """What ps calls `state` or `ppid`; empty when there is no such process."""
    if sys.platform.startswith("linux"):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        except OSError:
            return ""
        return fields[{"state": 0, "ppid": 1}[field]]
    done = subprocess.run(["ps", "-o", f"{field}=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _children(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text(encoding="ascii").split()] if path.exists() else []
