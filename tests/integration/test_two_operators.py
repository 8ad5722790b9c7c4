"""Two operators and a Lease: one leads, and whatever becomes of it, the other acts in time and the two never both."""

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from cluster.control_plane import ControlPlane
from cluster.waiting import wait_until
from support.audit import breaches
from support.fault_proxy import Asked, FaultProxy
from support.history import History, watched
from support.operator_process import OperatorProcess, started
from support.simulated_team import Director, Story, crashes, ends, succeeds
from support.team import Team

NewNamespace = Callable[[ControlPlane], str]

_STORY: Final = {"job": Story((crashes, succeeds))}
_END: Final = {"job": ("Complete", 1, ["Failure", "Succeeded"])}
ACTING_WITHIN: Final = 45.0
"""Thrice what is promised, and what benchmarks hold it to: other tests share this machine."""
LEASE: Final = "operator"


@dataclass
class Pair:
    """A leader and its stand-by, each with a proxy of its own."""

    team: Team
    proxies: tuple[FaultProxy, FaultProxy]
    operators: tuple[OperatorProcess, OperatorProcess]
    history: History

    def leads(self) -> int:
        """Return which of the two leads."""
        return 0 if _acts(self.proxies[0].record) else 1

    def acting(self, number: int, since: float) -> float:
        """Wait until one writes something besides the Lease, and return how many seconds after a moment it did."""
        proxy = self.proxies[number]
        wait_until(lambda: bool(_acts(proxy.written_since(since))))
        return _acts(proxy.written_since(since))[0].at - since


@contextmanager
def pair(plane: ControlPlane, namespace: str, directory: Path) -> Iterator[Pair]:
    """Start a leader, and then the one that stands by."""
    team, first, second = Team(plane, namespace), FaultProxy.to(plane.admin), FaultProxy.to(plane.admin)
    options = ("--namespace", namespace, "--lease", f"{namespace}/{LEASE}")
    with (
        first.serving(),
        second.serving(),
        watched(plane.admin, namespace) as history,
        started(directory, first, *options) as leader,
    ):
        wait_until(lambda: any(_is_lease(one) and one.method == "POST" for one in first.record))
        with started(directory, second, *options) as other:
            wait_until(lambda: any(map(_is_lease, second.record)))
            yield Pair(team, (first, second), (leader, other), history)


def test_a_leader_that_was_stopped_writes_nothing_when_it_wakes_and_the_other_has_taken_over(
    simulated_cluster: ControlPlane, new_namespace: NewNamespace, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    with pair(simulated_cluster, new_namespace(simulated_cluster), tmp_path) as both:
        leader, director = both.operators[0], Director(both.team, _STORY)
        proxy, stopped = both.proxies[0], threading.Event()

        def stop_after_the_end_of_an_attempt(_: int, asked: Asked) -> None:
            """The status tells that the first attempt has failed; what is to follow is on the leader's mind."""
            if not stopped.is_set() and _ends_an_attempt(asked):
                leader.send(signal.SIGSTOP)
                stopped.set()

        proxy.after_write = stop_after_the_end_of_an_attempt
        with director.directing():
            assert stopped.wait(120)
            begun = time.monotonic()
            after = both.acting(1, begun)
            director.wait_for_the_end()
            woken = time.monotonic()
            leader.send(signal.SIGCONT)
            assert leader.wait(60) == 1
        gone = time.monotonic() - woken
        assert [(one.method, one.path) for one in proxy.written_since(woken)] == []
        assert ends(both.team) == _END
        assert breaches(both.history) == []
        assert {told: count for told, count in both.team.events().items() if count > 1} == {}
        tell(f"stopped: the other acts after {after:.1f} s; woken, the old one ends after {gone:.1f} s")
        assert after < ACTING_WITHIN


@pytest.mark.parametrize("how", ["killed", "partitioned"])
def test_the_other_takes_over_from_a_leader_that_is(
    how: str, simulated_cluster: ControlPlane, new_namespace: NewNamespace, tmp_path: Path,
    tell: Callable[[str], None],
) -> None:  # fmt: skip
    with pair(simulated_cluster, new_namespace(simulated_cluster), tmp_path) as both:
        leader, director = both.operators[0], Director(both.team, _STORY)
        with director.directing():
            wait_until(lambda: any(one.get("runningTime") for one in both.team.statuses().values()))
            begun = time.monotonic()
            if how == "killed":
                leader.send(signal.SIGKILL)
            else:
                both.proxies[0].break_off()
            assert leader.wait(60) in (1, -signal.SIGKILL)
            ended = time.monotonic() - begun
            after = both.acting(1, begun)
            director.wait_for_the_end()
        # Its process may end later on a busy machine: what counts is that it no more tries to write.
        assert _acts(both.proxies[0].record)[-1].at < begun + after
        assert ends(both.team) == _END
        assert breaches(both.history) == []
        tell(f"{how}: the leader has ended after {ended:.1f} s, the other acts after {after:.1f} s")
        assert after < ACTING_WITHIN


def _is_lease(asked: Asked) -> bool:
    return asked.about("leases")


def _acts(asked: list[Asked]) -> list[Asked]:
    return [one for one in list(asked) if one.writes and not _is_lease(one)]


def _ends_an_attempt(asked: Asked) -> bool:
    if asked.method != "PATCH" or not asked.path.endswith("/status"):
        return False
    attempts = json.loads(asked.body).get("status", {}).get("attempts") or []
    return any(one.get("outcome") for one in attempts)
