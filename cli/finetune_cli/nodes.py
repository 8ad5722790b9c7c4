"""The nodes of a local run: their launchers are watched, asked to leave, and killed when they do not."""

import signal
import time
from collections.abc import Sequence
from pathlib import Path

from finetune_api.outcomes import Outcome
from finetune_cli.verdict import NodeEnd
from finetune_trainer.launcher.processes import Watched
from finetune_trainer.run_dir import RunDir

PEER_SECONDS = 5.0
"""How long the other nodes may take to notice that one has failed."""

_LAUNCHER_SECONDS = 10.0
"""How much longer than the grace, which they keep themselves, launchers may take to leave."""

_KILL_SECONDS = 3.0
"""How long launchers may take to kill everything after a second request."""

_CALM = frozenset({Outcome.SUCCEEDED, Outcome.PREEMPTED, Outcome.INTERRUPTED})


class Nodes:
    """The launchers of one run, found by the process ids that they leave in their run directories."""

    def __init__(self, run_dirs: Sequence[Path], grace: float) -> None:
        self._dirs = [RunDir(path) for path in run_dirs]
        self._grace = grace
        self._launchers: dict[int, Watched] = {}
        self._requests: list[signal.Signals] = []
        self._delivered: dict[int, int] = {}
        self._kill_at = float("inf")

    @property
    def stop(self) -> signal.Signals | None:
        """The first signal that asked the run to leave."""
        return self._requests[0] if self._requests else None

    def ask_to_leave(self, number: signal.Signals) -> None:
        """The first request lets every node save and leave; a second one has everything killed."""
        if len(self._requests) < 2:
            # A launcher that was asked before takes SIGINT, and only that, as the wish to be quick.
            self._requests.append(signal.SIGINT if self._requests else number)
            patience = self._grace + _LAUNCHER_SECONDS if len(self._requests) == 1 else _KILL_SECONDS
            self._kill_at = min(self._kill_at, time.monotonic() + patience)
        self.tend()

    def tend(self) -> None:
        """Deliver requests to launchers as they appear, and kill those whose time is over; call it often."""
        for node, run_dir in enumerate(self._dirs):
            pid = None if node in self._launchers else run_dir.read_pid("launcher")
            if pid is not None:
                self._launchers[node] = Watched(f"node {node}", pid)
        for node, launcher in self._launchers.items():
            self._deliver(node, launcher)
        if any(self._failed(node) for node in self._launchers):
            self._kill_at = min(self._kill_at, time.monotonic() + PEER_SECONDS)
        if time.monotonic() >= self._kill_at:
            self.kill()

    def kill(self) -> None:
        """End every launcher at once; what they started dies with them."""
        for launcher in self._launchers.values():
            if launcher.alive():
                launcher.kill()

    def ends(self) -> list[NodeEnd]:
        """How each node ended, once the run is over."""
        return [self._end(node, run_dir) for node, run_dir in enumerate(self._dirs)]

    def _deliver(self, node: int, launcher: Watched) -> None:
        for number in self._requests[self._delivered.get(node, 0) :]:
            launcher.send(number)
        self._delivered[node] = len(self._requests)

    def _failed(self, node: int) -> bool:
        if self._launchers[node].alive():
            return False
        message = self._dirs[node].read_termination()
        return message is None or message.outcome not in _CALM

    def _end(self, node: int, run_dir: RunDir) -> NodeEnd:
        killed = node in self._launchers and self._launchers[node].killed
        try:
            at_ns = (run_dir.path / "termination.json").stat().st_mtime_ns
        except OSError:
            at_ns = time.time_ns()
        return NodeEnd(node, run_dir.read_termination(), at_ns, killed)
