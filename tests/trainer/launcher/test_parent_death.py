import os
import signal
import subprocess
import sys
from pathlib import Path

from finetune_trainer.launcher.parent_death import PARENT_PID
from support.launching import process_runs, wait_until

CHILD = """
import os, sys, time
from finetune_trainer.launcher.parent_death import die_with_parent
die_with_parent()
open(sys.argv[1], "w").write(str(os.getpid()))
time.sleep(600)
"""
PARENT = """
import os, subprocess, sys, time
from finetune_trainer.launcher.parent_death import environment_of_child
command = [sys.executable, "-c", sys.argv[1], sys.argv[2]]
subprocess.Popen(command, env=environment_of_child(), start_new_session=True)
time.sleep(600)
"""


def test_a_child_in_its_own_session_dies_with_its_killed_parent(tmp_path: Path) -> None:
    marker = tmp_path / "pid"
    with subprocess.Popen([sys.executable, "-c", PARENT, CHILD, str(marker)]) as parent:
        wait_until(lambda: marker.exists() and marker.read_text(encoding="ascii") != "")
        child = int(marker.read_text(encoding="ascii"))
        parent.kill()
    wait_until(lambda: not process_runs(child))


def test_a_child_whose_parent_was_already_gone_does_not_start(tmp_path: Path) -> None:
    environment = {**os.environ, PARENT_PID: "1" if os.getpid() != 1 else "2"}
    done = subprocess.run([sys.executable, "-c", CHILD, str(tmp_path / "pid")], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "pid").exists()


def test_without_a_named_parent_nothing_happens(tmp_path: Path) -> None:
    code = "from finetune_trainer.launcher.parent_death import die_with_parent; die_with_parent()"
    environment = {name: value for name, value in os.environ.items() if name != PARENT_PID}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0
