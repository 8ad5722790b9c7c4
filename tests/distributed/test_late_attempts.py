"""An attempt that was cut off and wakes up too late changes nothing that a reader sees, wherever it had stopped."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.shell import ROOT, quiet_environment

pytestmark = pytest.mark.distributed

ALL_POINTS = os.environ.get("LATE_ATTEMPTS") == "all"
"""All of them take minutes; otherwise a part, spread over a whole attempt."""
STRIDE = 1 if ALL_POINTS else 9
OFFSET = 0 if ALL_POINTS else 5


@pytest.mark.timeout(1800)
def test_an_old_attempt_woken_at_any_point_is_seen_by_no_reader(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "support.late_attempts", str(tmp_path), str(OFFSET), str(STRIDE)]
    environment = {**quiet_environment(tmp_path / "cache"), "PYTHONPATH": str(ROOT / "tests"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1700, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    lines: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    undisturbed, woken = lines[0]["undisturbed"], lines[1:]
    assert len(woken) == len(range(OFFSET, lines[0]["points"], STRIDE))
    for seen in woken:
        where = f"point {seen['at']}: {seen['point']}"
        assert seen["stopped"], where
        assert seen["newer"] == 0, f"{where}: the newer attempt failed"
        assert seen["old"] in (0, 75), f"{where}: the old attempt crashed"
        assert seen["after"] == seen["before"], f"{where}: a reader sees the old attempt"
        assert (seen["after"]["attempt"], seen["after"]["damage"]) == (2, None), where
        assert seen["after"]["steps"] == undisturbed["steps"] == [1, 2, 3, 4], where
        assert seen["after"]["model"] == undisturbed["model"], f"{where}: the result is another"
