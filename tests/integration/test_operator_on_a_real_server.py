"""The operator as a process, against a real control plane whose kubelet is simulated."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.control_plane import ControlPlane
from cluster.rest import Body
from cluster.simulated_nodes import EXIT_CODE, LAST_WORDS, RUN_FOR, SimulatedNode
from cluster.waiting import wait_until
from finetune_api.outcomes import Outcome, TerminationMessage
from support.operator_jobs import inline_job, job
from support.ports import free_port
from support.results_claim import provide_results

NewNamespace = Callable[[ControlPlane], str]


class Team:
    """A namespace with a volume for results, an operator that looks after it, and a node."""

    def __init__(self, plane: ControlPlane, namespace: str) -> None:
        self.server, self.namespace = plane.rest(), namespace
        self.jobs = f"/apis/finetune.dev/v1alpha1/namespaces/{namespace}/finetunejobs"
        self.core = f"/api/v1/namespaces/{namespace}"
        provide_results(self.server, self.namespace)
        self.server.send("POST", "/api/v1/nodes", SimulatedNode(f"{namespace}-node").body()).accepted()

    def apply(self, manifest: Body) -> None:
        self.server.send("POST", self.jobs, manifest).accepted()

    def status(self, name: str = "arc-easy") -> Body:
        return dict(self.server.get(f"{self.jobs}/{name}").get("status") or {})

    def state(self, name: str = "arc-easy") -> Any:
        return self.status(name).get("state")

    def pods(self) -> list[Body]:
        return list(self.server.get(f"{self.core}/pods?labelSelector=finetune.dev/job-uid")["items"])

    def events(self) -> set[str]:
        found = self.server.get(f"/apis/events.k8s.io/v1/namespaces/{self.namespace}/events")["items"]
        return {event["reason"] for event in found if event["regarding"]["kind"] == "FinetuneJob"}

    def annotate(self, pod: str, **annotations: str) -> None:
        patch = {"metadata": {"annotations": annotations}}
        path = f"{self.core}/pods/{pod}"
        self.server.send("PATCH", path, patch, "application/merge-patch+json").accepted()


@contextlib.contextmanager
def operating(plane: ControlPlane, log: Path, *more: str) -> Iterator["subprocess.Popen[bytes]"]:
    ports = ["--health-port", str(free_port()), "--metrics-port", str(free_port())]
    command = [sys.executable, "-m", "finetune_operator", "--kubeconfig", str(plane.admin), *ports, *more]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, env={**os.environ, "NO_PROXY": "*"}
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                assert process.wait(60) == 0, log.read_text(encoding="utf-8")
            finally:
                process.kill()


@pytest.fixture
def team(simulated_cluster: ControlPlane, new_namespace: NewNamespace, tmp_path: Path) -> Iterator[Team]:
    namespace = new_namespace(simulated_cluster)
    found = Team(simulated_cluster, namespace)
    with operating(simulated_cluster, tmp_path / "log", "--namespace", namespace):
        yield found
    lines = [json.loads(line) for line in (tmp_path / "log").read_text(encoding="utf-8").splitlines()]
    assert not [line for line in lines if line["level"] == "error"]


def test_a_job_runs_to_its_end(team: Team) -> None:
    team.apply(inline_job())
    wait_until(lambda: team.state() == "Running")
    names = [pod["metadata"]["name"] for pod in team.pods()]
    assert names == ["arc-easy-0-0", "arc-easy-0-1"]
    words = TerminationMessage(outcome=Outcome.SUCCEEDED, step=4).to_json()
    for name in names:
        team.annotate(name, **{RUN_FOR: "0s", LAST_WORDS: words})
    wait_until(lambda: team.state() == "Complete")
    wait_until(lambda: team.events() >= {"AttemptStarted", "Training", "Succeeded"})
    assert team.status()["observedGeneration"] == 1


def test_a_crash_is_followed_by_another_attempt_and_the_survivor_goes(team: Team) -> None:
    team.apply(inline_job())
    wait_until(lambda: team.state() == "Running")
    team.annotate("arc-easy-0-1", **{RUN_FOR: "0s", EXIT_CODE: "1"})
    wait_until(lambda: len(team.status()["attempts"]) == 2 and team.state() == "Running")
    assert team.status()["attempts"][0]["outcome"] == "Failure"
    assert team.status()["restarts"] == 1
    alive = {pod["metadata"]["name"] for pod in team.pods() if pod["status"]["phase"] == "Running"}
    assert alive == {"arc-easy-1-0", "arc-easy-1-1"}


def test_a_broken_row_fails_the_job_before_any_training_pod(team: Team) -> None:
    team.apply(job())
    wait_until(lambda: team.state() == "Preparing" and len(team.pods()) == 1)
    words = TerminationMessage(outcome=Outcome.DATASET_INVALID, message="train.jsonl, row 57: not JSON").to_json()
    team.annotate("arc-easy-prepare", **{RUN_FOR: "0s", EXIT_CODE: "3", LAST_WORDS: words})
    wait_until(lambda: team.state() == "Failed")
    assert "row 57" in team.status()["failure"]["message"]
    assert [pod["metadata"]["name"] for pod in team.pods()] == ["arc-easy-prepare"]


def test_a_deleted_job_takes_its_children_along(team: Team) -> None:
    team.apply(inline_job())
    wait_until(lambda: team.state() == "Running")
    team.server.send("DELETE", f"{team.jobs}/arc-easy").accepted()
    wait_until(lambda: not team.pods())
    wait_until(lambda: not team.server.get(f"{team.core}/services?labelSelector=finetune.dev/job-uid")["items"])


def test_suspending_removes_the_pods_and_resuming_starts_the_next_attempt(team: Team) -> None:
    team.apply(inline_job())
    wait_until(lambda: team.state() == "Running")
    _suspend(team, True)
    wait_until(lambda: team.state() == "Suspended")
    assert team.pods() == []
    _suspend(team, False)
    wait_until(lambda: team.state() == "Running")
    assert [pod["metadata"]["name"] for pod in team.pods()] == ["arc-easy-1-0", "arc-easy-1-1"]


def _suspend(team: Team, value: bool) -> None:
    patch = {"spec": {"runPolicy": {"suspend": value}}}
    team.server.send("PATCH", f"{team.jobs}/arc-easy", patch, "application/merge-patch+json").accepted()
