"""The files of a run directory: what one process writes, another reads, and nothing damaged is believed."""

import json
import threading
from pathlib import Path

import pytest

from finetune_api.outcomes import Outcome, TerminationMessage
from finetune_trainer.heartbeat import HeartbeatFile
from finetune_trainer.run_dir import PREPARE, PROGRESS_LINE_BYTES, RunDir
from finetune_trainer.run_spec import RunSpec


def test_a_written_outcome_is_read_back_and_gives_the_exit_code(tmp_path: Path) -> None:
    run_dir = RunDir(tmp_path)
    code = run_dir.write_outcome(Outcome.DIVERGED, "loss is nan", rank=3, step=7, traceback="trace")
    outcome = run_dir.read_outcome("3")
    assert outcome is not None
    assert code == outcome.exit_code == 7
    assert (outcome.outcome, outcome.rank, outcome.step, outcome.traceback) == (
        Outcome.DIVERGED,
        3,
        7,
        "trace",
    )


def test_the_preparation_leaves_an_outcome_without_a_rank(tmp_path: Path) -> None:
    RunDir(tmp_path).write_outcome(Outcome.DATASET_INVALID, "no rows", rank=None)
    outcome = RunDir(tmp_path).read_outcome(PREPARE)
    assert outcome is not None
    assert outcome.rank is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"outcome": "Nonsense"}', '{"outcome": "Crashed"}'])
def test_a_damaged_outcome_counts_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "outcome.0.json").write_text(text, encoding="utf-8")
    assert RunDir(tmp_path).read_outcome("0") is None


def test_an_outcome_that_cannot_be_written_still_gives_the_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert RunDir(tmp_path / "missing").write_outcome(Outcome.RETRYABLE, "disk full", rank=0) == 75
    assert "cannot record the outcome Retryable (disk full)" in capsys.readouterr().err


def test_progress_lines_are_json_even_for_what_json_cannot_say(tmp_path: Path) -> None:
    run_dir = RunDir(tmp_path)
    run_dir.progress({"event": "step", "loss": float("nan"), "nested": [float("inf"), 1.0]})
    event = json.loads(run_dir.progress_file.read_text(encoding="utf-8"))
    assert event == {"event": "step", "loss": None, "nested": [None, 1.0]}


def test_a_long_message_is_cut_to_one_writable_line(tmp_path: Path) -> None:
    run_dir = RunDir(tmp_path)
    run_dir.message("ü" * 10_000, "warning")
    line = run_dir.progress_file.read_bytes()
    assert len(line) <= PROGRESS_LINE_BYTES
    assert json.loads(line)["level"] == "warning"


def test_lines_of_several_writers_never_mix(tmp_path: Path) -> None:
    run_dir = RunDir(tmp_path)

    def write(text: str) -> None:
        for _ in range(50):
            run_dir.message(text * 900)

    writers = [threading.Thread(target=write, args=(str(number),)) for number in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    lines = run_dir.progress_file.read_text(encoding="utf-8").splitlines()
    assert len([json.loads(line) for line in lines]) == 200


def test_ranks_are_found_by_their_registration_and_launchers_are_not_ranks(tmp_path: Path) -> None:
    run_dir = RunDir(tmp_path)
    run_dir.register_rank(1)
    run_dir.write_pid("launcher", 42)
    assert list(run_dir.rank_pids()) == [1]
    assert run_dir.read_pid("launcher") == 42


def test_ranks_that_leave_wait_for_each_other_but_not_for_their_own_word(tmp_path: Path) -> None:
    run_dir = RunDir(tmp_path)
    run_dir.register_rank(0)  # and leaves no outcome: the disk may be full
    run_dir.write_pid("1", 1)
    waiting = threading.Thread(target=run_dir.await_peers, daemon=True)
    waiting.start()
    waiting.join(0.2)
    assert waiting.is_alive()
    run_dir.write_outcome(Outcome.PREEMPTED, "saved", rank=1)
    waiting.join(60)
    assert not waiting.is_alive()


def test_a_peer_that_says_it_is_done_is_not_waited_for_although_it_could_leave_no_outcome(tmp_path: Path) -> None:
    run_dir = RunDir(tmp_path)
    run_dir.register_rank(0)
    run_dir.write_pid("1", 1)
    heart = HeartbeatFile(run_dir.heartbeat_file(1))
    heart.enter("save")
    waiting = threading.Thread(target=run_dir.await_peers, daemon=True)
    waiting.start()
    waiting.join(0.2)
    assert waiting.is_alive()
    heart.enter("done")
    waiting.join(60)
    assert not waiting.is_alive()


def test_data_that_is_there_is_taken_whatever_was_asked_meanwhile(tmp_path: Path) -> None:
    RunDir(tmp_path).write_prepared(Path("/data"), "abc")
    assert RunDir(tmp_path).wait_prepared(60, stopped=lambda: True) == Path("/data")


def test_waiting_for_data_ends_with_the_data_a_stop_or_the_timeout(tmp_path: Path) -> None:
    run_dir = RunDir(tmp_path)
    assert run_dir.wait_prepared(60, stopped=lambda: True) is None
    with pytest.raises(TimeoutError, match="no prepared data"):
        run_dir.wait_prepared(0.05)
    threading.Timer(0.1, lambda: run_dir.write_prepared(Path("/data"), "abc")).start()
    assert run_dir.wait_prepared(60) == Path("/data")


def test_a_termination_message_survives_the_trip(tmp_path: Path) -> None:
    message = TerminationMessage(outcome=Outcome.PREEMPTED, message="saved", step=4)
    RunDir(tmp_path).write_termination(message)
    assert RunDir(tmp_path).read_termination() == message


def test_a_run_specification_survives_the_trip(tmp_path: Path) -> None:
    spec = RunSpec(
        config=Path("c.json"), output=Path("o"), run_dir=tmp_path, attempt=2, job_uid="u", cache=Path("cache")
    )
    spec.save(tmp_path / "spec.json")
    assert RunSpec.load(tmp_path / "spec.json") == spec
