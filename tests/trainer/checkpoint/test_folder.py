"""Where the checkpoints of a run lie."""

import subprocess
import sys
from pathlib import Path

from finetune_trainer.checkpoint.folder import checkpoint_folder
from support.training import training_config


def test_a_folder_of_ones_own_may_carry_the_name_of_the_run(tmp_path: Path) -> None:
    config = training_config(tmp_path, {"save_folder": "/saves/{run_name}/here", "run_name": "first"})
    assert checkpoint_folder(tmp_path, config) == Path("/saves/first/here")
    assert checkpoint_folder(tmp_path, training_config(tmp_path)) == tmp_path / "checkpoints"


def test_who_looks_for_checkpoints_before_a_rank_starts_need_not_load_torch() -> None:
    looking = "import sys, finetune_trainer.launcher.meeting.facts; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", looking], timeout=120, check=False).returncode == 0
