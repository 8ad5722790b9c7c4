from pathlib import Path

from finetune_trainer.launcher.progress import last_progress, last_step
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


def test_the_newest_of_each_kind_of_event_makes_the_progress(tmp_path: Path) -> None:
    run_dir = RunDir(tmp_path)
    run_dir.progress({"event": "begin", "step": 10, "totalSteps": 12})
    assert last_progress(run_dir.progress_file) == {
        "firstStep": 10, "step": 10, "totalSteps": 12, "lastCheckpointStep": 10
    }  # fmt: skip
    for step in (11, 12):
        run_dir.progress({"event": "step", "step": step, "totalSteps": 12, "loss": 1.0 / step, "etaSeconds": 3})
    run_dir.progress({"event": "eval", "label": "unseen", "loss": 2.0})
    run_dir.progress({"event": "checkpoint", "step": 12})
    assert last_progress(run_dir.progress_file) == {
        "firstStep": 10, "step": 12, "totalSteps": 12, "loss": 1.0 / 12, "evalLoss": 2.0, "lastCheckpointStep": 12
    }  # fmt: skip


def test_how_long_steps_and_saves_took_is_told_once_it_was_measured(tmp_path: Path) -> None:
    run_dir = RunDir(tmp_path)
    run_dir.progress({"event": "step", "step": 1, "totalSteps": 9})
    run_dir.progress({"event": "step", "step": 2, "totalSteps": 9, "stepSeconds": 1.5})
    run_dir.progress({"event": "checkpoint", "step": 2, "saveSeconds": 40.25})
    told = last_progress(run_dir.progress_file)
    assert (told["stepSeconds"], told["saveSeconds"], told["lastCheckpointStep"]) == (1.5, 40.25, 2)


def test_a_checkpoint_of_weights_only_is_none_to_resume_from(tmp_path: Path) -> None:
    run_dir = RunDir(tmp_path)
    run_dir.progress({"event": "checkpoint", "step": 2, "saveSeconds": 1.5})
    run_dir.progress({"event": "checkpoint", "step": 4, "saveSeconds": 2.5, "weightsOnly": True})
    assert last_progress(run_dir.progress_file) == {"lastCheckpointStep": 2, "saveSeconds": 2.5}


def test_a_run_that_did_not_begin_has_made_no_progress(tmp_path: Path) -> None:
    assert last_progress(tmp_path / "missing") == {}
