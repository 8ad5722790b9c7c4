"""`finetune wait` against a cluster."""

import os
import pty
import subprocess
import sys
import time

import pytest
from typer.testing import CliRunner, Result

from finetune_api.errors import ConfigInvalid
from finetune_cli.app import app
from finetune_cli.cluster.waiting import seconds_of
from support import job_stories as stories
from support.log_server import ThreadedCluster

CODE = "from finetune_cli.main import main; main()"


def _wait(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["wait", "arc-easy", *arguments])


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("30m", 1800), ("1h30m", 5400), ("2d", 172_800), ("0", 0), ("0.5s", 0.5)],
)
def test_times_are_written_as_kubectl_takes_them(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "1w", "-1s", "1h 30m"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ConfigInvalid, match="write one like 90s, 30m or 1h30m"):
        seconds_of(text)


def test_a_job_that_is_over_is_not_waited_for(cluster: ThreadedCluster) -> None:
    cluster.do(lambda server: server.put("finetunejobs", stories.complete()))
    result = _wait()
    assert (result.exit_code, result.stdout) == (
        0, "arc-easy is Complete: The run finished at step 40 and its model is exported.\n",
    )  # fmt: skip
    cluster.do(lambda server: server.put("finetunejobs", stories.failed()))
    result = _wait()
    assert (result.exit_code, result.stderr) == (7, "arc-easy is Failed: said Diverged\n")
    assert _wait("--for", "failed").exit_code == 0
    assert _wait("--for", "condition=Running").exit_code == 7


def test_a_wait_ends_with_the_job(cluster: ThreadedCluster) -> None:
    cluster.do(lambda server: server.put("finetunejobs", stories.preparing()))
    command = [sys.executable, "-c", CODE, "wait", "arc-easy", "--timeout", "10m"]
    waiting = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not cluster.do(lambda server: any("watch" in one.query for one in server.requests)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    cluster.do(lambda server: server.put("finetunejobs", stories.training()))
    cluster.do(lambda server: server.put("finetunejobs", stories.complete()))
    out, err = waiting.communicate(timeout=120)
    assert (waiting.returncode, err) == (0, "")
    assert out.startswith("arc-easy is Complete")


@pytest.mark.parametrize("timeout", ["0", "0.3s"])
def test_when_the_time_is_over_the_code_is_that_of_timeout(cluster: ThreadedCluster, timeout: str) -> None:
    cluster.do(lambda server: server.put("finetunejobs", stories.suspended()))
    result = _wait("--timeout", timeout)
    assert result.exit_code == 124
    assert "arc-easy is not Complete after" in result.stderr
    assert "it is Suspended: The job is suspended" in result.stderr
    assert _wait("--for", "suspended", "--timeout", timeout).exit_code == 0


def test_a_mistake_in_the_options_is_named_before_anything_is_asked() -> None:
    result = _wait("--for", "Finished")
    assert (result.exit_code, "there is no condition or state Finished" in result.stderr) == (2, True)
    assert _wait("--timeout", "soon").exit_code == 2


def test_on_a_terminal_one_line_tells_how_it_goes(cluster: ThreadedCluster) -> None:
    cluster.do(lambda server: server.put("finetunejobs", stories.training()))
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", CODE, "wait", "arc-easy"]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    waiting = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, stdin=theirs, env=environment)
    os.close(theirs)
    drawn = b""
    while b"12/40 \xc2\xb7 30%" not in drawn:  # it may come in pieces
        drawn += os.read(ours, 65536)
    assert "arc-easy Running  ━━━━━━╌╌╌╌╌╌╌╌╌╌╌╌╌╌ step 12/40 · 30%" in drawn.decode(errors="replace")
    cluster.do(lambda server: server.put("finetunejobs", stories.complete()))
    out, _ = waiting.communicate(timeout=120)
    os.close(ours)
    assert out.decode().startswith("arc-easy is Complete")
    assert waiting.returncode == 0
