"""The operator is killed with SIGKILL between two of its writes, again and again, and every job ends as it should."""

import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from cluster.control_plane import ControlPlane
from support.audit import breaches
from support.fault_proxy import FaultProxy
from support.history import watched
from support.operator_process import OperatorProcess, start
from support.simulated_team import EXPECTED, STORIES, TAKEN, Director, conclusions, ends
from support.team import Team

SEED = 20260501
KILLS = (0, 17, 17, 16)
"""In each of the runs; the first is left in peace, and says what should come out."""
_MOST_WRITES = 4
"""Most that an operator writes before it is killed."""


@dataclass
class Run:
    """One life of all stories, with the operator killed so many times."""

    team: Team
    directory: Path
    kills: int
    random: random.Random
    killed: int = 0
    struck: int = 0
    """Writes until the last kill."""
    seconds: float = 0.0

    def play(self) -> None:
        """Kill, start again, and wait for the end."""
        self.directory.mkdir()
        begun = time.monotonic()
        director = Director(self.team, STORIES)
        proxy = FaultProxy.to(self.team.plane.admin)
        with (
            proxy.serving(),
            watched(self.team.plane.admin, self.team.namespace) as self.history,
            director.directing(),
        ):
            while self.killed < self.kills:
                self._live_and_die(proxy, director)
            operator = start(self.directory, proxy, "--namespace", self.team.namespace)
            try:
                director.wait_for_the_end(400)
                _quiet(proxy)
            finally:
                operator.send(signal.SIGTERM)
                assert operator.wait(60) == 0
        assert operator.errors() == []
        self.requests = len(proxy.record)
        self.seconds = time.monotonic() - begun

    def _live_and_die(self, proxy: FaultProxy, director: Director) -> None:
        """Kill the operator when the API server has done a write of it, and it does not know yet."""
        last, died = proxy.writes + self.random.randint(1, _MOST_WRITES), threading.Event()
        operator: OperatorProcess | None = None

        def strike(number: int, _: object) -> None:
            if number >= last and operator is not None and not died.is_set():
                operator.send(signal.SIGKILL)
                died.set()

        proxy.after_write = strike
        operator = start(self.directory, proxy, "--namespace", self.team.namespace)
        until = time.monotonic() + 300
        while not died.wait(0.1):
            assert time.monotonic() < until, operator.log.read_text(encoding="utf-8")[-2000:]
            # Between the blow and its note it is dead already.
            assert operator.alive or died.wait(10), operator.log.read_text(encoding="utf-8")
            assert not director.over(), f"all is over after {self.killed} kills"
        proxy.after_write = lambda number, asked: None
        assert operator.wait() == -signal.SIGKILL
        assert operator.errors() == []
        self.killed, self.struck = self.killed + 1, proxy.writes


@pytest.mark.timeout(900)
def test_fifty_kills_between_two_writes_change_no_outcome(
    simulated_cluster: ControlPlane,
    new_namespace: Callable[[ControlPlane], str],
    tmp_path: Path,
    tell: Callable[[str], None],
) -> None:
    runs = [
        Run(Team(simulated_cluster, new_namespace(simulated_cluster)), tmp_path / str(number), kills,
            random.Random(SEED + number))
        for number, kills in enumerate(KILLS)
    ]  # fmt: skip
    with ThreadPoolExecutor(len(runs)) as pool:
        list(pool.map(Run.play, runs))
    undisturbed = conclusions(runs[0].team)
    assert ends(runs[0].team) == EXPECTED
    for run in runs:
        tell(
            f"{run.killed} kills within {run.struck} writes, {len(STORIES)} jobs, {run.requests} requests, "
            f"{run.seconds:.0f} s"
        )
        assert conclusions(run.team) == undisturbed
        assert breaches(run.history, taken=TAKEN) == []
        assert _told(run.team) <= _told(runs[0].team)  # the last words of an operator may be lost, none is repeated
    assert sum(run.killed for run in runs) == 50


def _told(team: Team) -> Counter[tuple[str, str]]:
    """How often each job was told about for which reason; the words name nodes."""
    told: Counter[tuple[str, str]] = Counter()
    for (job, reason, _), count in team.events().items():
        told[job, reason] += count
    return told


def _quiet(proxy: FaultProxy) -> None:
    """Wait until the operator has nothing left to write."""
    seen = -1
    while seen != proxy.writes:
        seen = proxy.writes
        time.sleep(3)
