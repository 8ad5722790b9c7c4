"""`finetune status` against a cluster."""

import codecs
import io
import json
import os
import pty
import re
import subprocess
import sys
import time
from collections.abc import Callable

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from finetune_api.outcomes import Outcome, TerminationMessage
from finetune_cli.app import app
from support import job_stories as stories
from support.log_server import LogServer, ThreadedCluster

CODE = "from finetune_cli.main import main; main()"


def _status(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["status", *arguments])


def _other(namespace: str) -> stories.Body:
    body = stories.complete()
    body["metadata"] = body["metadata"] | {"name": "gpt2", "namespace": namespace}
    return body


def test_all_jobs_of_a_namespace_or_of_the_cluster_are_a_table(cluster: ThreadedCluster) -> None:
    cluster.do(lambda server: server.put("finetunejobs", stories.training(2)))
    cluster.do(lambda server: server.put("finetunejobs", _other("lab"), "lab"))
    lines = _status().stdout.splitlines()
    assert lines[0].split()[:2] == ["NAME", "STATE"]
    assert [line.split()[:3] for line in lines[1:]] == [["arc-easy", "Running", "12/40"]]
    lines = _status("-A").stdout.splitlines()
    assert [line.split()[:3] for line in lines[1:]] == [["lab", "gpt2", "Complete"], ["team", "arc-easy", "Running"]]


def test_one_job_is_told_with_the_traceback_that_its_pod_left(cluster: ThreadedCluster) -> None:
    told = TerminationMessage(
        outcome=Outcome.DIVERGED, message="m", traceback="Traceback\n  KeyError: 'gold'"
    ).to_json()
    cluster.do(lambda server: server.put("finetunejobs", stories.failed()))
    cluster.do(lambda server: server.pod("arc-easy-0-1", phase="Failed", told=told))
    result = _status("arc-easy")
    assert result.exit_code == 0
    assert "KeyError: 'gold'" in result.stdout
    assert json.loads(_status("arc-easy", "-o", "json").stdout)["traceback"].endswith("KeyError: 'gold'")
    cluster.do(lambda server: server.remove("pods", "arc-easy-0-1"))
    assert "KeyError" not in _status("arc-easy").stdout


def test_json_is_for_scripts(cluster: ThreadedCluster) -> None:
    cluster.do(lambda server: server.put("finetunejobs", stories.failed()))
    (one,) = json.loads(_status("-o", "json").stdout)["items"]
    assert (one["name"], one["state"], one["over"], one["exitCode"]) == ("arc-easy", "Failed", True, 7)
    assert one["status"]["attempts"][0]["outcome"] == "UserFailure"


def test_in_a_pipe_nothing_is_coloured_cut_or_broken(cluster: ThreadedCluster) -> None:
    body = stories.failed()
    body["status"]["failure"]["message"] = "long " * 100
    cluster.do(lambda server: server.put("finetunejobs", body))
    done = subprocess.run(
        [sys.executable, "-c", CODE, "status", "arc-easy"], capture_output=True, text=True, check=True
    )
    assert "\x1b" not in done.stdout
    assert ("long " * 100).strip() in done.stdout


def test_a_name_and_all_namespaces_exclude_each_other() -> None:
    assert _status("arc-easy", "-A").exit_code == 2


def _start(*arguments: str, **more: object) -> "subprocess.Popen[str]":
    command = [sys.executable, "-u", "-c", CODE, "status", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _wait_for(cluster: ThreadedCluster, test: Callable[[LogServer], bool]) -> None:
    deadline = time.monotonic() + 120
    while not cluster.do(test):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _watches(number: int) -> Callable[[LogServer], bool]:
    return lambda server: sum("watch" in one.query for one in server.requests) >= number


def test_watching_a_job_prints_each_change_and_ends_with_its_exit_code(cluster: ThreadedCluster) -> None:
    cluster.do(lambda server: server.put("finetunejobs", stories.preparing()))
    watching = _start("arc-easy", "--watch")
    _wait_for(cluster, _watches(1))
    cluster.do(lambda server: server.put("finetunejobs", stories.training()))
    cluster.do(lambda server: server.forget_history())
    cluster.do(lambda server: server.cut_streams())
    _wait_for(cluster, _watches(2))
    cluster.do(lambda server: server.put("finetunejobs", stories.failed()))
    out, err = watching.communicate(timeout=120)
    lines = out.splitlines()
    assert lines[0] == "arc-easy Preparing  Pod arc-easy-prepare prepares the dataset."
    assert lines[1].startswith("arc-easy Running  step 12/40 · 30%")
    assert lines[2] == "arc-easy Failed  said Diverged"
    assert "failure       Diverged: rank 1" in out
    assert (watching.returncode, err) == (7, "")


def test_watching_survives_a_server_that_is_away(cluster: ThreadedCluster) -> None:
    cluster.do(lambda server: server.put("finetunejobs", stories.training()))
    watching = _start("arc-easy", "-w", "-o", "json")
    _wait_for(cluster, _watches(1))
    cluster.fail("GET", "finetunejobs", 503, message="shutting down")
    cluster.do(lambda server: server.cut_streams())
    _wait_for(cluster, _watches(2))
    cluster.do(lambda server: server.put("finetunejobs", stories.complete()))
    out, err = watching.communicate(timeout=120)
    assert [json.loads(line)["state"] for line in out.splitlines()] == ["Running", "Complete"]
    assert (watching.returncode, err) == (0, "finetune: the API server answers 503: shutting down; trying again\n")


def test_watching_all_jobs_prints_those_that_change_and_ctrl_c_ends_it(cluster: ThreadedCluster) -> None:
    cluster.do(lambda server: server.put("finetunejobs", stories.training()))
    watching = _start("-w", "-A")
    _wait_for(cluster, _watches(1))
    cluster.do(lambda server: server.put("finetunejobs", _other("lab"), "lab"))
    cluster.do(lambda server: server.change("finetunejobs", "arc-easy", _relabel))
    cluster.do(lambda server: server.cut_streams())
    _wait_for(cluster, _watches(2))
    cluster.do(lambda server: server.put("finetunejobs", stories.suspended()))
    assert watching.stdout is not None
    lines = [watching.stdout.readline() for _ in range(3)]
    watching.send_signal(2)
    out, err = watching.communicate(timeout=120)
    assert [line.split()[:2] for line in lines] == [
        ["team/arc-easy", "Running"], ["lab/gpt2", "Complete"], ["team/arc-easy", "Suspended"],
    ]  # fmt: skip
    assert (watching.returncode, out, err) == (130, "", "")


def _relabel(body: stories.Body) -> None:
    body["metadata"]["labels"] = {"news": "none"}


def test_on_a_terminal_the_picture_is_drawn_anew_and_left_complete(cluster: ThreadedCluster) -> None:
    cluster.do(lambda server: server.put("finetunejobs", stories.training()))
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "140", "LINES": "12"}
    command = [sys.executable, "-c", CODE, "status", "arc-easy", "-w"]
    watching = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    drawn = _read(ours, until="step 12/40")
    _wait_for(cluster, _watches(1))
    cluster.do(lambda server: server.put("finetunejobs", stories.complete()))
    drawn += _read(ours)
    assert watching.wait(120) == 0
    assert "\x1b[?25l" in drawn
    assert drawn.rstrip().endswith("\x1b[?25h") or "\x1b[?25h" in drawn
    last = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", drawn[drawn.rindex("\x1b[?25h") :])
    assert "arc-easy   Complete: The run finished at step 40" in last
    assert "on claim results" in last


def _read(terminal: int, until: str | None = None) -> str:
    """What is drawn from now on, to the end or until this was; letters of several bytes may come in pieces."""
    decoder, drawn = codecs.getincrementaldecoder("utf-8")(), ""
    try:
        while (until is None or until not in drawn) and (chunk := os.read(terminal, 65536)):
            drawn += decoder.decode(chunk)
    except OSError:
        pass  # the other side has closed
    return drawn


def test_a_job_that_is_deleted_ends_watching(cluster: ThreadedCluster) -> None:
    cluster.do(lambda server: server.put("finetunejobs", stories.training()))
    watching = _start("arc-easy", "-w")
    _wait_for(cluster, _watches(1))
    cluster.do(lambda server: server.remove("finetunejobs", "arc-easy"))
    _, err = watching.communicate(timeout=120)
    assert (watching.returncode, err) == (69, "finetune: arc-easy has been deleted\n")


@pytest.mark.parametrize("terminal", [True, False])
def test_a_line_is_as_long_as_it_is_unless_a_terminal_cuts_it(terminal: bool) -> None:
    from finetune_cli.cluster.screens import print_lines
    from finetune_cli.cluster.table import job_table

    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=40)
    print_lines(console, job_table([stories.view(stories.training())], stories.NOW))
    assert ("…" in out.getvalue()) is terminal
