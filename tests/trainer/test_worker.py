"""A rank whose run directory is full still leaves with the code of its outcome, and says in its log what happened."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from finetune_api.outcomes import Outcome
from finetune_trainer.run_dir import RunDir
from finetune_trainer.run_spec import RunSpec

pytestmark = pytest.mark.distributed

PREFLIGHT_FAILS = """
import finetune_trainer.run
from finetune_api.errors import PreflightFailed
from finetune_trainer import worker

def run(*_):
    raise PreflightFailed("rank 1 says nothing", suspects=[1])

finetune_trainer.run.run = run
worker.main()
"""


@pytest.fixture
def run_dir(tmp_path: Path) -> RunDir:
    """A run directory with a specification."""
    run_dir = RunDir(tmp_path / "run")
    run_dir.create()
    paths = {"config": tmp_path / "c.json", "output": tmp_path / "output", "cache": tmp_path / "cache"}
    RunSpec(**paths, run_dir=run_dir.path, attempt=0, job_uid="job").save(run_dir.path / "spec.json")
    return run_dir


def rank(run_dir: RunDir, *program: str) -> "subprocess.CompletedProcess[str]":
    """Rank 0, to its end."""
    command = [sys.executable, *program, "--spec", str(run_dir.path / "spec.json")]
    environment = {**os.environ, "RANK": "0"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize("file", ["stack.0", "heartbeat.0"])
def test_a_rank_that_cannot_make_its_files_says_that_the_disk_is_full(run_dir: RunDir, file: str) -> None:
    (run_dir.path / file).symlink_to("/dev/full")
    done = rank(run_dir, "-m", "finetune_trainer.worker")
    assert done.returncode == 75, done.stderr
    outcome = run_dir.read_outcome("0")
    assert outcome is not None
    assert outcome.outcome is Outcome.RETRYABLE
    assert "No space left on device" in outcome.message


def test_suspects_that_cannot_be_recorded_do_not_hide_the_fault(run_dir: RunDir) -> None:
    (run_dir.path / "preflight.json").mkdir()
    done = rank(run_dir, "-c", PREFLIGHT_FAILS)
    assert done.returncode == 75, done.stderr
    outcome = run_dir.read_outcome("0")
    assert outcome is not None
    assert (outcome.reason, outcome.message) == ("PreflightFailed", "rank 1 says nothing")
    assert "cannot record the suspects [1]" in done.stderr
