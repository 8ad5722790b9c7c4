from pathlib import Path

from finetune_trainer.launcher.progress import last_step
from finetune_trainer.run_dir import RunDir


def test_the_last_step_is_found_behind_other_events(tmp_path: Path) -> None:
    run_dir = RunDir(tmp_path)
    for step in (1, 2):
        run_dir.progress({"event": "step", "step": step})
    run_dir.phase("save")
    assert last_step(run_dir.progress_file) == 2


def test_a_long_file_is_read_from_its_end_only(tmp_path: Path) -> None:
    run_dir = RunDir(tmp_path)
    for step in range(100):
        run_dir.progress({"event": "step", "step": step, "note": "x" * 2000})
    assert last_step(run_dir.progress_file) == 99


def test_without_a_step_there_is_none(tmp_path: Path) -> None:
    assert last_step(tmp_path / "missing") is None
    (tmp_path / "progress.jsonl").write_text('{"event": "phase"}\nhalf a li', encoding="utf-8")
    assert last_step(tmp_path / "progress.jsonl") is None
