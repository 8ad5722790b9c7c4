"""The operator as a process behind a proxy of its own, which may be killed, stopped and woken.

Processes are forked from one that has imported everything, so that a test may start many: that is most of a start.
"""

import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, Final

from support.fault_proxy import FaultProxy
from support.ports import free_port

_FORKED: Final = multiprocessing.get_context("forkserver")
_FORKED.set_forkserver_preload(["__main__", "finetune_operator.__main__", "finetune_operator.launch", "torchx.specs"])


@dataclass
class OperatorProcess:
    """A running operator."""

    process: ForkServerProcess
    log: Path

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return self.process.is_alive()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    def wait(self, seconds: float = 120.0) -> int:
        """Wait for its end, and return its exit code."""
        self.process.join(seconds)
        assert self.process.exitcode is not None, f"it still runs after {seconds:.0f} s"
        return self.process.exitcode

    def said(self) -> list[dict[str, Any]]:
        """Return the lines of its log."""
        if not self.log.exists():
            return []  # it died before it could say a word
        lines = self.log.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    def errors(self) -> list[dict[str, Any]]:
        """Return what it took for a mistake of its own."""
        return [line for line in self.said() if line["level"] == "error"]


def start(directory: Path, proxy: FaultProxy, *more: str, user: dict[str, Any] | None = None) -> OperatorProcess:
    """Start an operator whose kubeconfig names the proxy."""
    name = f"{free_port()}-{time.monotonic_ns()}"
    config, log = directory / f"{name}.kubeconfig", directory / f"{name}.log"
    document = {
        "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": proxy.url}}],
        "users": [{"name": "u", "user": user or {}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    }
    config.write_text(json.dumps(document), encoding="utf-8")
    ports = ["--health-port", str(free_port()), "--metrics-port", str(free_port())]
    arguments = ["--kubeconfig", str(config), *ports, *more]
    process = _FORKED.Process(target=_operate, args=(arguments, str(log)), daemon=True)
    process.start()
    return OperatorProcess(process, log)


def _operate(arguments: Sequence[str], log: str) -> None:
    """Be the operator: what `python -m finetune_operator` does."""
    from finetune_operator.__main__ import main  # not in the process that tests
    from finetune_trainer.launcher.parent_death import PARENT_PID, die_with_parent

    # The server that forks goes with the tests, however they end, and this process goes with it.
    os.environ[PARENT_PID] = str(os.getppid())
    die_with_parent()
    file = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    for output in (1, 2):
        os.dup2(file, output)
    os.environ["NO_PROXY"] = "*"
    sys.exit(main(arguments))


@contextmanager
def started(
    directory: Path, proxy: FaultProxy, *more: str, user: dict[str, Any] | None = None
) -> Iterator[OperatorProcess]:
    """Run an operator while the block runs."""
    operator = start(directory, proxy, *more, user=user)
    try:
        yield operator
    finally:
        if operator.alive:
            operator.send(signal.SIGCONT)
            operator.process.terminate()
            operator.process.join(10)
            operator.process.kill()
        operator.process.join()
