import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cluster.processes import Process, ProcessFailed
from cluster.waiting import wait_until
from support.launching import TESTS, process_runs

STARTER = """
import sys, time
from pathlib import Path
from cluster.processes import Process

ready = Path(sys.argv[1])
process = Process("sleeper", ["sh", "-c", f"touch {ready}; exec sleep 600"], ready.with_name("log"))
process.wait_ready(ready.exists)
print(process.pid, flush=True)
time.sleep(600)
"""


def test_a_process_is_waited_for_and_ends_with_the_block(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    with Process("server", ["sh", "-c", f"touch {ready}; sleep 600"], tmp_path / "log") as process:
        process.wait_ready(ready.exists)
        assert process.alive
    assert not process_runs(process.pid)


def test_a_process_that_ends_early_shows_the_end_of_its_log(tmp_path: Path) -> None:
    command = ["sh", "-c", "echo no such flag; exit 3"]
    with Process("server", command, tmp_path / "log") as process, pytest.raises(ProcessFailed) as caught:
        process.wait_ready(lambda: False)
    assert "server ended with exit code 3" in str(caught.value)
    assert str(caught.value).endswith("no such flag")


def test_a_process_that_is_never_ready_is_given_up(tmp_path: Path) -> None:
    late = pytest.raises(ProcessFailed, match="server was not ready after 0 s")
    with Process("server", ["sleep", "600"], tmp_path / "log") as process, late:
        process.wait_ready(lambda: False, seconds=0.2)


def test_children_of_a_process_end_with_it(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    script = f"sleep 600 & echo $! > {pid}.new; mv {pid}.new {pid}; wait"
    with Process("server", ["sh", "-c", script], tmp_path / "log") as process:
        process.wait_ready(pid.exists)
    wait_until(lambda: not process_runs(int(pid.read_text(encoding="ascii"))))


def test_a_process_may_take_its_time_to_end(tmp_path: Path) -> None:
    told = tmp_path / "told"
    ready = tmp_path / "ready"
    script = f"trap 'touch {told}; exit 0' TERM; touch {ready}; while true; do sleep 0.05; done"
    process = Process("server", ["sh", "-c", script], tmp_path / "log")
    process.wait_ready(ready.exists)
    process.stop(grace=20)
    assert told.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent died")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_process_dies_with_who_started_it_however_that_ends(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-c", STARTER, str(tmp_path / "ready")]
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        assert process_runs(pid)
        starter.send_signal(number)
    wait_until(lambda: not process_runs(pid))
