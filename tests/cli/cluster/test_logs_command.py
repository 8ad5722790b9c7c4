"""`finetune logs` against a cluster."""

import re
import subprocess
import sys
import time
from collections.abc import Callable

import pytest
from typer.testing import CliRunner, Result

from finetune_cli.app import app
from support import job_stories as stories
from support.log_server import LogServer, ThreadedCluster


def _logs(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["logs", "arc-easy", *arguments])


def _two_nodes(server: LogServer, processes: int = 2) -> None:
    body = stories.training()
    body["status"]["frozen"]["processesPerNode"] = processes
    server.put("finetunejobs", body)
    for node in (0, 1):
        server.pod(f"arc-easy-0-{node}")
    server.written("arc-easy-0-0", "zero begins", "[rank 1] one begins", at=100)
    server.written("arc-easy-0-0", "zero ends", "[rank 1] one ends", at=102)
    server.written("arc-easy-0-1", "launcher", "[rank 2] two", "[rank 3] three", at=101)


def test_without_options_it_is_rank_0_of_the_newest_attempt(cluster: ThreadedCluster) -> None:
    cluster.do(_two_nodes)
    result = _logs()
    assert (result.exit_code, result.stdout) == (0, "zero begins\nzero ends\n")


def test_a_rank_is_found_in_the_pod_of_its_node(cluster: ThreadedCluster) -> None:
    cluster.do(_two_nodes)
    assert _logs("--rank", "3").stdout == "three\n"
    assert _logs("--rank", "2").stdout == "launcher\ntwo\n"
    assert _logs("--rank", "1", "--tail", "1").stdout == "one ends\n"
    assert _logs("--node", "1", "--tail", "2").stdout == "[rank 2] two\n[rank 3] three\n"


def test_all_ranks_are_shown_in_the_order_of_time_each_with_its_mark(cluster: ThreadedCluster) -> None:
    cluster.do(_two_nodes)
    assert _logs("--all").stdout.splitlines() == [
        "[rank 0] zero begins", "[rank 1] one begins", "[node 1] launcher", "[rank 2] two", "[rank 3] three",
        "[rank 0] zero ends", "[rank 1] one ends",
    ]  # fmt: skip
    assert _logs("--all", "--tail", "3").stdout.splitlines()[0] == "[rank 3] three"


def test_a_job_that_failed_while_preparing_shows_that_pod(cluster: ThreadedCluster) -> None:
    def failed(server: LogServer) -> None:
        server.put("finetunejobs", stories.failed_to_prepare())
        server.pod("arc-easy-prepare", phase="Failed", initContainers=[{"name": "fetch"}])
        server.written("arc-easy-prepare", "fetched", container="fetch", at=1)
        server.written("arc-easy-prepare", "row 57 is broken", container="prepare", at=2)

    cluster.do(failed)
    assert _logs().stdout == "fetched\nrow 57 is broken\n"
    assert _logs("--prepare", "--tail", "1").stdout == "row 57 is broken\n"


def test_what_is_missing_is_told_in_a_sentence(cluster: ThreadedCluster) -> None:
    cluster.do(lambda server: server.put("finetunejobs", stories.failed()))
    result = _logs()
    assert result.exit_code == 69
    assert result.stderr == (
        'finetune: there is no log: pods "arc-easy-0-0" not found; '
        "a log goes with its pod, and only those of the last attempt are kept\n"
    )
    assert "attempt 0 has 2 ranks, counted from 0" in _logs("--rank", "2").stderr
    cluster.do(lambda server: server.put("finetunejobs", stories.new()))
    assert "there is no log yet; arc-easy is Pending (-f waits for it)" in _logs().stderr


def test_of_all_pods_those_without_a_log_are_named_and_the_others_shown(cluster: ThreadedCluster) -> None:
    def one_starts(server: LogServer) -> None:
        _two_nodes(server)
        del server.logs["arc-easy-0-1", "trainer"]

    cluster.do(one_starts)
    result = _logs("--all")
    assert result.stdout.splitlines()[0] == "[rank 0] zero begins"
    assert 'container "trainer" in pod "arc-easy-0-1" is waiting to start' in result.stderr


@pytest.mark.parametrize("arguments", [("--rank", "0", "--all"), ("--node", "0", "--prepare"), ("--rank", "-1")])
def test_options_that_exclude_each_other_are_refused(arguments: tuple[str, ...]) -> None:
    assert _logs(*arguments).exit_code == 2


class _Following:
    """A `finetune logs -f` in a process of its own."""

    def __init__(self, *arguments: str) -> None:
        code = "from finetune_cli.main import main; main()"
        command = [sys.executable, "-u", "-c", code, "logs", "arc-easy", "-f", *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def finish(self) -> tuple[int, str, str]:
        """Exit code, stdout and stderr."""
        try:
            out, err = self.process.communicate(timeout=120)
        finally:
            self.process.kill()
        return self.process.returncode, out, err


def _wait_for(cluster: ThreadedCluster, test: Callable[[LogServer], bool]) -> None:
    deadline = time.monotonic() + 120
    while not cluster.do(test):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _asked_for(pod: str) -> Callable[[LogServer], bool]:
    return lambda server: any(
        one.plural == "log" and one.name == pod and one.query.get("follow") for one in server.requests
    )


def test_following_goes_from_attempt_to_attempt_until_the_job_is_over(cluster: ThreadedCluster) -> None:
    cluster.do(lambda server: server.put("finetunejobs", stories.new()))
    following = _Following()
    _wait_for(cluster, lambda server: any(one.query.get("watch") for one in server.requests))

    def begin(server: LogServer) -> None:
        server.put("finetunejobs", stories.training())
        server.pod("arc-easy-0-0")
        server.written("arc-easy-0-0", "first step", at=10)

    cluster.do(begin)
    _wait_for(cluster, _asked_for("arc-easy-0-0"))

    def crash(server: LogServer) -> None:
        server.written("arc-easy-0-0", "crashed", at=20)
        server.ends("arc-easy-0-0", "Failed")
        server.put("finetunejobs", stories.training(2))
        server.pod("arc-easy-1-0")
        server.written("arc-easy-1-0", "goes on", at=30)

    cluster.do(crash)
    _wait_for(cluster, _asked_for("arc-easy-1-0"))

    def end(server: LogServer) -> None:
        server.written("arc-easy-1-0", "saved the model", at=40)
        server.ends("arc-easy-1-0")
        server.put("finetunejobs", stories.complete())

    cluster.do(end)
    code, out, err = following.finish()
    assert out == "first step\ncrashed\n--- attempt 1 ---\ngoes on\nsaved the model\n"
    assert code == 0
    assert "finetune: arc-easy is Pending\n" in err
    assert err.endswith("finetune: arc-easy is Complete: The run finished at step 40 and its model is exported.\n")


def test_following_begins_with_the_pod_that_prepares_and_survives_its_replacement(cluster: ThreadedCluster) -> None:
    def preparing(server: LogServer) -> None:
        server.put("finetunejobs", stories.preparing())
        server.pod("arc-easy-prepare", phase="Failed")
        server.written("arc-easy-prepare", "lost my node", container="prepare", at=10)
        server.ends("arc-easy-prepare", "Failed", container="prepare")

    cluster.do(preparing)
    following = _Following("--tail", "5")
    _wait_for(cluster, _asked_for("arc-easy-prepare"))

    def again(server: LogServer) -> None:
        del server.logs["arc-easy-prepare", "prepare"]
        server.pod("arc-easy-prepare", phase="Running")
        server.written("arc-easy-prepare", "100 rows", container="prepare", at=20)
        server.requests.clear()

    cluster.do(again)
    _wait_for(cluster, _asked_for("arc-easy-prepare"))
    cluster.do(lambda server: server.put("finetunejobs", stories.failed_to_prepare()))
    code, out, err = following.finish()
    assert (code, out) == (0, "lost my node\n100 rows\n")
    assert err.endswith("finetune: arc-easy is Failed: said DatasetInvalid\n")


def test_a_chosen_attempt_is_followed_to_its_own_end(cluster: ThreadedCluster) -> None:
    cluster.do(_two_nodes)
    following = _Following("--attempt", "0", "--all", "--tail", "1")
    _wait_for(cluster, _asked_for("arc-easy-0-1"))
    cluster.do(lambda server: server.written("arc-easy-0-1", "[rank 3] last words", at=200))
    cluster.do(lambda server: server.put("finetunejobs", stories.training(2)))
    code, out, _ = following.finish()
    assert (code, out.splitlines()) == (0, ["[rank 1] one ends", "[rank 3] last words"])


def test_what_was_written_just_before_the_end_is_not_lost(cluster: ThreadedCluster) -> None:
    cluster.server.log_pulse = 2.0
    cluster.do(_two_nodes)
    following = _Following("--tail", "0")
    _wait_for(cluster, _asked_for("arc-easy-0-0"))

    def end(server: LogServer) -> None:
        server.written("arc-easy-0-0", "last words", at=200)
        server.put("finetunejobs", stories.failed())

    cluster.do(end)
    assert following.finish()[:2] == (0, "last words\n")


def test_ctrl_c_ends_following_without_a_traceback(cluster: ThreadedCluster) -> None:
    cluster.do(_two_nodes)
    following = _Following()
    _wait_for(cluster, _asked_for("arc-easy-0-0"))
    following.process.send_signal(2)
    code, _, err = following.finish()
    assert (code, err) == (130, "")


def test_a_job_that_is_deleted_ends_following(cluster: ThreadedCluster) -> None:
    cluster.do(_two_nodes)
    following = _Following()
    _wait_for(cluster, _asked_for("arc-easy-0-0"))
    cluster.do(lambda server: server.remove("finetunejobs", "arc-easy"))
    code, _, err = following.finish()
    assert (code, err) == (69, "finetune: arc-easy has been deleted\n")


def test_help_explains_which_rank_is_where() -> None:
    text = re.sub(r"\s+", " ", CliRunner().invoke(app, ["logs", "--help"]).stdout)
    assert "rank R runs on node R // processesPerNode" in text
