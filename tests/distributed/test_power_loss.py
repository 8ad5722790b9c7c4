"""What a run has left outlives a loss of power: no checkpoint without its metrics, no finished job without a model."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from support.shell import ROOT, quiet_environment

pytestmark = pytest.mark.distributed


def test_checkpoints_come_with_their_metrics_and_the_end_with_everything(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "support.power_loss", str(tmp_path)]
    environment = {**quiet_environment(tmp_path / "cache"), "PYTHONPATH": str(ROOT / "tests")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.splitlines()[-1]) == {"code": 0, "told": [[1], [1, 2]], "lost": []}
