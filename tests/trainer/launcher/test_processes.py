import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from finetune_trainer.launcher.processes import Child, Watched
from support.launching import process_runs, wait_until

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]
WITH_HELPER = [
    sys.executable,
    "-c",
    "import subprocess, sys, time\n"
    "helper = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
    "print(helper.pid, flush=True); time.sleep(600)",
]


@pytest.fixture
def sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen(SLEEP, start_new_session=True) as process:
        yield process
        process.kill()


def test_a_process_is_dead_as_soon_as_it_is_a_zombie(sleeper: "subprocess.Popen[bytes]") -> None:
    watched = Watched("rank 0", sleeper.pid)
    assert watched.alive()
    sleeper.kill()
    wait_until(lambda: not watched.alive())
    assert not Watched("rank 0", sleeper.pid).alive()
    assert sleeper.returncode is None  # nobody has waited for it: it is not our child to reap


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="without pidfds deaths are found by asking")
def test_a_death_wakes_the_selector(sleeper: "subprocess.Popen[bytes]") -> None:
    with selectors.DefaultSelector() as selector:
        watched = Watched("rank 0", sleeper.pid)
        watched.register(selector)
        assert selector.select(0) == []
        sleeper.kill()
        assert selector.select(120), "only the death can wake it"
        watched.unregister(selector)
        assert selector.select(0) == []


def test_only_a_process_that_was_alive_counts_as_killed(sleeper: "subprocess.Popen[bytes]") -> None:
    watched = Watched("rank 0", sleeper.pid)
    watched.kill()
    assert watched.killed
    sleeper.wait()
    gone = Watched("rank 0", sleeper.pid)
    gone.kill()
    gone.send(signal.SIGTERM)
    assert (gone.alive(), gone.killed) == (False, False)


def test_a_kill_reaches_the_helpers_too_and_a_signal_does_not() -> None:
    with ExitStack() as stack:
        process = subprocess.Popen(WITH_HELPER, start_new_session=True, stdout=subprocess.PIPE)
        stack.callback(process.wait)
        stack.callback(process.kill)
        assert process.stdout is not None
        with process.stdout:
            helper = int(process.stdout.readline())
        watched = Watched("rank 0", process.pid)
        watched.send(signal.SIGTERM)
        wait_until(lambda: not watched.alive())
        assert process_runs(helper)
        watched.kill()
        wait_until(lambda: not process_runs(helper))


def test_a_child_tells_its_exit_code() -> None:
    child = Child("a child", [sys.executable, "-c", "raise SystemExit(17)"], os.environ)
    wait_until(lambda: not child.alive())
    assert child.exit_code == 17
