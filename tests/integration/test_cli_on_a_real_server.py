"""`finetune status`, `wait` and `render` against a real API server, with statuses as the operator writes them."""

import gc
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cluster.control_plane import ControlPlane
from cluster.processes import Process
from cluster.required import cluster_required
from finetune_cli.app import app
from support import job_stories as stories

CRDS = Path(__file__).parents[2] / "crds"
CODE = "from finetune_cli.main import main; main()"

# A request that is given up while its connection is being made leaves a socket to the end of the process, which for a
# command is at once; here it would be taken for a leak.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]


class Jobs:
    """The jobs of one namespace."""

    def __init__(self, plane: ControlPlane, namespace: str) -> None:
        self.plane, self.namespace = plane, namespace

    def put(self, body: stories.Body, name: str = "arc-easy") -> None:
        """Create a job, unless it is there, and write its status as an operator does."""
        path = f"/apis/finetune.dev/v1alpha1/namespaces/{self.namespace}/finetunejobs"
        rest = self.plane.rest()
        if rest.send("GET", f"{path}/{name}").code == 404:
            spec = {key: body[key] for key in ("apiVersion", "kind", "spec")}
            rest.send("POST", path, {**spec, "metadata": {"name": name}}).accepted()
        patch = {"status": body["status"]}
        rest.send("PATCH", f"{path}/{name}/status", patch, "application/merge-patch+json").accepted()

    def command(self, *arguments: str, kubeconfig: Path | None = None) -> list[str]:
        """The arguments with those that lead to this namespace."""
        return [*arguments, "--kubeconfig", str(kubeconfig or self.plane.admin), "-n", self.namespace]

    def run(self, *arguments: str, kubeconfig: Path | None = None) -> Result:
        """Run a command in this process, and have what it leaves behind reported here and not in another test."""
        result = CliRunner().invoke(app, self.command(*arguments, kubeconfig=kubeconfig))
        gc.collect()
        return result

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Run a command in a process of its own."""
        command = [sys.executable, "-u", "-c", CODE, *self.command(*arguments)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def jobs(api_server: ControlPlane, new_namespace: Callable[[ControlPlane], str]) -> Jobs:
    return Jobs(api_server, new_namespace(api_server))


@pytest.fixture(scope="module")
def own_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane that knows no FinetuneJobs yet and may be restarted."""
    with cluster_required():
        plane = ControlPlane(tmp_path_factory.mktemp("own-plane")).__enter__()
    yield plane
    plane.__exit__()


def test_jobs_are_listed_and_told_of(jobs: Jobs) -> None:
    jobs.put(stories.training(2))
    jobs.put(stories.failed(), name="gpt2")
    lines = jobs.run("status").stdout.splitlines()
    assert [line.split()[:3] for line in lines[1:]] == [["arc-easy", "Running", "12/40"], ["gpt2", "Failed", "-"]]
    told = jobs.run("status", "gpt2")
    assert (told.exit_code, "Diverged: rank 1, pod arc-easy-0-1" in told.stdout) == (0, True)
    assert json.loads(jobs.run("status", "gpt2", "-o", "json").stdout)["exitCode"] == 7
    assert "did you mean gpt2?" in jobs.run("status", "gtp2").stderr


def test_a_job_that_no_operator_has_seen_is_pending(jobs: Jobs) -> None:
    jobs.put(stories.new() | {"status": {}})
    assert "Pending" in jobs.run("status").stdout
    assert "No operator has looked at this job yet" in jobs.run("status", "arc-easy").stdout


def test_waiting_and_watching_end_with_the_job_and_with_its_exit_code(jobs: Jobs) -> None:
    jobs.put(stories.training())
    assert jobs.run("wait", "arc-easy", "--for", "Running").exit_code == 0
    assert jobs.run("wait", "arc-easy", "--timeout", "1s").exit_code == 124
    waiting, watching = jobs.start("wait", "arc-easy"), jobs.start("status", "arc-easy", "-w")
    assert watching.stdout is not None
    assert watching.stdout.readline().startswith("arc-easy Running  step 12/40")
    jobs.put(stories.failed())
    assert (waiting.communicate(timeout=120), waiting.returncode) == (("", "arc-easy is Failed: said Diverged\n"), 7)
    out, _ = watching.communicate(timeout=120)
    assert (watching.returncode, out.splitlines()[0]) == (7, "arc-easy Failed  said Diverged")


def test_logs_of_a_pod_that_nobody_created_are_missed_in_the_words_of_the_server(jobs: Jobs) -> None:
    jobs.put(stories.training())
    result = jobs.run("logs", "arc-easy")
    assert (result.exit_code, result.stderr) == (69, 'finetune: there is no log: pods "arc-easy-0-0" not found\n')


def test_who_may_not_look_reads_it_in_the_words_of_the_server(jobs: Jobs) -> None:
    eve = jobs.plane.user_kubeconfig("eve")
    for command in (["status"], ["status", "arc-easy"], ["wait", "arc-easy"], ["logs", "arc-easy"]):
        result = jobs.run(*command, kubeconfig=eve)
        assert result.exit_code == 69
        assert "the API server forbids it: finetunejobs.finetune.dev" in result.stderr
        assert 'is forbidden: User "eve" cannot' in result.stderr


def test_what_is_rendered_is_taken_by_the_server(jobs: Jobs, tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    body = {key: stories.training()[key] for key in ("apiVersion", "kind", "spec")} | {"metadata": {"name": "arc-easy"}}
    file.write_text(json.dumps(body), encoding="utf-8")
    rendered = CliRunner().invoke(app, ["render", str(file), "-n", jobs.namespace])
    taken = jobs.plane.kubectl("apply", "--dry-run=server", "-o", "name", "-f", "-", stdin=rendered.stdout)
    assert {line.split("/")[0] for line in taken.split()} == {
        "configmap", "networkpolicy.networking.k8s.io", "pod", "service",
    }  # fmt: skip


def test_a_cluster_without_the_resource_is_told_and_a_restart_of_its_server_survived(own_plane: ControlPlane) -> None:
    jobs = Jobs(own_plane, "default")
    assert "does not know FinetuneJobs; install the operator" in jobs.run("status").stderr
    own_plane.install(CRDS)
    jobs.put(stories.training())
    watching = jobs.start("status", "arc-easy", "-w", "-o", "json")
    assert watching.stdout is not None
    assert json.loads(watching.stdout.readline())["state"] == "Running"
    with _restarted(own_plane, "kube-apiserver"):
        _eventually(lambda: jobs.put(stories.complete()))
        out, err = watching.communicate(timeout=120)
    assert (watching.returncode, json.loads(out.splitlines()[-1])["state"]) == (0, "Complete")
    assert "cannot be reached" in err


def _restarted(plane: ControlPlane, name: str) -> Process:
    """Stop a process for three seconds, then start the same command again."""
    old = plane.processes[name]
    command = Path(f"/proc/{old.pid}/cmdline").read_text(encoding="utf-8").rstrip("\0").split("\0")
    old.stop(grace=5)
    time.sleep(3)
    new = Process(name, command, old.log)
    new.wait_ready(lambda: plane.rest().answers("/readyz"))
    return new


def _eventually(act: Callable[[], Any]) -> None:
    """The definitions of resources are served a moment after the server is ready."""
    deadline = time.monotonic() + 120
    while True:
        try:
            act()
        except (AssertionError, OSError):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        else:
            return
