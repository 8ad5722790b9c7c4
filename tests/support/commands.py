"""Running `finetune run` as a process, with ranks that need no torch."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from finetune_trainer.run_dir import RunDir
from support.configs import training, write_yaml
from support.launching import PATIENCE, TESTS, process_runs, wait_until

FAKES = [
    "--launcher-argument=--worker-module=support.fake_worker",
    "--launcher-argument=--prepare-module=support.fake_prepare",
    "--launcher-argument=--agent-module=support.fake_agent",
]


class Command:
    """A `finetune run` under test, started in its own directory."""

    def __init__(
        self,
        root: Path,
        ranks: Mapping[int, Mapping[str, Any]],
        arguments: tuple[str, ...],
        document: Mapping[str, Any] | None = None,
        output: Path | None = None,
    ) -> None:
        self.output = output or root / "train-output"
        file = write_yaml(root / "train.yaml", document or training())
        environment = {
            **os.environ,
            "PYTHONPATH": str(TESTS),
            "FINETUNE_CACHE": str(root / "cache"),
            "FAKE_RANKS": json.dumps(ranks),
        }
        code = "from finetune_cli.main import main; main()"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, "run", str(file), *FAKES, *arguments],
            cwd=root,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "Command":
        return self

    def __exit__(self, *_: object) -> None:
        for pid in self.survivors():
            os.kill(pid, signal.SIGKILL)
        self.process.kill()
        self.process.communicate()

    def node(self, node: int = 0) -> RunDir:
        """The run directory of a node of the first attempt."""
        return RunDir(self.output / "logs" / "attempt-0" / f"node-{node}")

    def wait_for_ranks(self, *ranks: int) -> None:
        """Wait until these ranks run and have taken their first step."""
        wait_until(lambda: {r for n in range(2) for r in self.node(n).rank_pids()} >= set(ranks))
        wait_until(self.node().progress_file.exists)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the command, and to nothing else."""
        self.process.send_signal(number)

    def finish(self, timeout: float = PATIENCE) -> int:
        """Wait for the end and return the exit code."""
        self.stdout, self.stderr = self.process.communicate(timeout=timeout)
        return self.process.returncode

    def survivors(self) -> list[int]:
        """Those processes of the run that left a process id and still live."""
        files = self.output.glob("logs/attempt-*/node-*/pid.*")
        return [pid for file in files if process_runs(pid := int(file.read_text(encoding="ascii")))]
