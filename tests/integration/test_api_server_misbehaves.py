"""Whatever the API server does to the operator, jobs end as they should, and no fault makes it run hot."""

import json
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from cluster.control_plane import ControlPlane
from cluster.waiting import wait_until
from support.api_faults import ROWS, Row, rotated_tokens
from support.audit import breaches
from support.fault_proxy import Fault, FaultProxy
from support.history import History, watched
from support.operator_process import started
from support.simulated_team import EXPECTED, STORIES, TAKEN, Director, ends
from support.team import Team

NewNamespace = Callable[[ControlPlane], str]

TOLD: Final = ("good", "crash", "user", "drain")
"""The stories that are played under each fault."""
_AT_ONCE: Final = 4
_MOST_REQUESTS: Final = 900
_MOST_PER_SECOND: Final = 100
"""Bounds of what one operator asks: undisturbed it takes some 150 requests."""


@dataclass
class Played:
    """What came of a run."""

    ends: Mapping[str, Any]
    breaches: list[str]
    events: Counter[tuple[str, str, str]]
    requests: int
    hottest: int
    """Most requests within one second."""
    seconds: float
    errors: list[dict[str, Any]] = field(default_factory=list)


def play(team: Team, directory: Path, fault: Fault, *options: str, user: dict[str, Any] | None = None) -> Played:
    """Let the stories happen under a fault."""
    directory.mkdir()
    proxy = FaultProxy.to(team.plane.admin)
    proxy.faults.append(fault)
    namespace = team.namespace
    with proxy.serving(), watched(team.plane.admin, namespace) as history:
        operator_options = ("--namespace", namespace, *options)
        with started(directory, proxy, *operator_options, user=user) as operator:
            director = Director(team, {name: STORIES[name] for name in TOLD})
            with director.directing():
                seconds = director.wait_for_the_end(300)
                time.sleep(1.5)
            operator.send(signal.SIGTERM)
            assert operator.wait(60) == 0
    return judged(team, proxy, history, seconds, operator.errors())


def judged(team: Team, proxy: FaultProxy, history: History, seconds: float, errors: list[dict[str, Any]]) -> Played:
    """Return what came of it."""
    rate = Counter(int(asked.at) for asked in proxy.record)
    return Played(
        ends(team),
        breaches(history, taken=TAKEN),
        team.events(),
        len(proxy.record),
        max(rate.values()),
        seconds,
        errors,
    )


def hold(played: Played) -> None:
    """The run has to have come to the same end as an undisturbed one."""
    assert played.ends == {name: EXPECTED[name] for name in TOLD}
    assert played.breaches == []
    assert {told: count for told, count in played.events.items() if count > 1} == {}
    assert played.requests < _MOST_REQUESTS
    assert played.hottest < _MOST_PER_SECOND
    assert played.errors == []


@pytest.fixture(scope="module")
def runs(
    simulated_cluster: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, "Future[Played]"]]:
    """All rows of the table, a few at a time."""
    directory = tmp_path_factory.mktemp("faults")

    def run(number: int, row: Row) -> Played:
        name = f"fault-{number}"
        simulated_cluster.rest().send("POST", "/api/v1/namespaces", {"metadata": {"name": name}}).accepted()
        return play(Team(simulated_cluster, name), directory / name, row.make(), *row.options)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        yield {row.name: pool.submit(run, number, row) for number, row in enumerate(ROWS)}


@pytest.mark.parametrize("name", [row.name for row in ROWS])
def test_jobs_end_as_they_should_when(
    name: str, runs: Mapping[str, "Future[Played]"], tell: Callable[[str], None]
) -> None:
    played = runs[name].result(500)
    tell(f"{played.requests} requests, at most {played.hottest} in one second, {played.seconds:.0f} s")
    hold(played)


def test_jobs_end_as_they_should_when_the_token_is_rotated_and_the_old_one_rejected(
    simulated_cluster: ControlPlane, new_namespace: NewNamespace, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    team = Team(simulated_cluster, new_namespace(simulated_cluster))
    tokens = [_token(team, name) for name in ("before", "after")]
    file = tmp_path / "token"
    file.write_text(tokens[0])
    fault = rotated_tokens(tokens[0], 4.0)

    async def rotating(exchange: Any) -> Any:
        answered = await fault(exchange)
        if answered is not None:
            file.write_text(tokens[1])  # the kubelet has written the new one by now
        return answered

    played = play(team, tmp_path / "run", rotating, user={"tokenFile": str(file)})
    tell(f"{played.requests} requests, {played.seconds:.0f} s")
    hold(played)


def test_jobs_end_as_they_should_when_the_api_server_is_away_and_comes_back(
    simulated_cluster: ControlPlane, new_namespace: NewNamespace, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    plane = simulated_cluster
    team, proxy = Team(plane, new_namespace(plane)), FaultProxy.to(plane.admin)
    director = Director(team, {name: STORIES[name] for name in TOLD})
    with proxy.serving(), started(tmp_path, proxy, "--namespace", team.namespace) as operator:
        with director.directing():
            wait_until(lambda: any(one.get("attempts") for one in team.statuses().values()))
            plane.stop("kube-apiserver")
            time.sleep(3)
            plane.start_again("kube-apiserver")
            back = time.monotonic()
            wait_until(lambda: team.server.answers(team.jobs))
            seconds = director.wait_for_the_end(300)
        first = proxy.written_since(back)[0].at - back
        operator.send(signal.SIGTERM)
        assert operator.wait(60) == 0
    played = judged(team, proxy, History(), seconds, operator.errors())
    tell(f"it writes {first:.1f} s after the API server is back; {played.requests} requests, {seconds:.0f} s")
    hold(played)


def _token(team: Team, name: str) -> str:
    """A token of an account that may do everything."""
    plane, namespace = team.plane, team.namespace
    plane.kubectl("create", "serviceaccount", name, "--namespace", namespace)
    binding = ("create", "clusterrolebinding", f"{namespace}-{name}", "--clusterrole=cluster-admin")
    plane.kubectl(*binding, f"--serviceaccount={namespace}:{name}")
    document = json.loads(plane.service_account_kubeconfig(name, namespace).read_text(encoding="utf-8"))
    return str(document["users"][0]["user"]["token"])
