"""The heartbeat: what a reader learns of a rank, whole or not at all, and what a beat costs."""

import multiprocessing
import time
from pathlib import Path

import pytest

from finetune_trainer.heartbeat import PHASES, Beat, Heartbeat, HeartbeatFile, read_beat


def beat_in(directory: Path) -> Beat:
    """What a reader learns of a rank that has begun."""
    found = read_beat(directory / "heart")
    assert found is not None
    return found


def test_every_phase_is_read_as_it_was_entered(tmp_path: Path) -> None:
    heart = HeartbeatFile(tmp_path / "heart")
    for beats, phase in enumerate(PHASES, start=1):
        before = time.monotonic_ns()
        heart.enter(phase)
        after = time.monotonic_ns()
        read = read_beat(tmp_path / "heart")
        assert read is not None
        assert (read.phase, read.beats) == (phase, beats)
        assert before <= read.since_ns <= after


def test_the_longest_step_after_the_first_and_the_longest_save_are_measured(tmp_path: Path) -> None:
    heart = HeartbeatFile(tmp_path / "heart")
    heart.resume_after(7)
    heart.enter("first_step")
    assert heart.finish_step(8) >= 0
    assert heart.measured_step == 0
    heart.enter("step")
    time.sleep(0.01)
    seconds = heart.finish_step(9)
    assert heart.measured_step == seconds >= 0.01
    heart.enter("save")
    saved = heart.finish_save()
    read = read_beat(tmp_path / "heart")
    assert read is not None
    assert (read.step, read.longest_save) == (9, saved)


def test_the_longest_step_is_told_when_the_ranks_have_agreed_on_it(tmp_path: Path) -> None:
    heart = HeartbeatFile(tmp_path / "heart")
    heart.enter("step")
    heart.finish_step(1)
    alone = beat_in(tmp_path)
    heart.agree(30.5)
    agreed = beat_in(tmp_path)
    assert (alone.longest_step, agreed.longest_step) == (0.0, 30.5)


def test_a_sign_of_life_moves_the_time_and_passes_no_point(tmp_path: Path) -> None:
    heart = HeartbeatFile(tmp_path / "heart")
    heart.enter("save")
    before = beat_in(tmp_path)
    heart.touch()
    after = beat_in(tmp_path)
    assert after.at_ns > before.at_ns
    assert (after.beats, after.since_ns, after.phase) == (before.beats, before.since_ns, "save")


def test_a_beat_moves_the_time_of_the_last_sign_but_not_that_of_the_begin(tmp_path: Path) -> None:
    heart = HeartbeatFile(tmp_path / "heart")
    heart.enter("eval")
    first = beat_in(tmp_path)
    heart.beat()
    second = beat_in(tmp_path)
    assert second.at_ns > first.at_ns
    assert (second.since_ns, second.beats) == (first.since_ns, first.beats + 1)


def test_there_is_nothing_to_read_of_a_rank_that_has_not_begun(tmp_path: Path) -> None:
    assert read_beat(tmp_path / "heart") is None


@pytest.mark.parametrize("damage", [b"", b"\xff" * 200, b"\xff"])
def test_half_a_record_is_not_believed(tmp_path: Path, damage: bytes) -> None:
    HeartbeatFile(tmp_path / "heart").enter("load")
    raw = bytearray((tmp_path / "heart").read_bytes())
    raw[: len(damage)] = damage
    (tmp_path / "heart").write_bytes(bytes(raw) if damage else b"")
    assert read_beat(tmp_path / "heart") is None


def _beat_for_ever(path: Path) -> None:
    heart = HeartbeatFile(path)
    for step in range(10**9):
        heart.resume_after(step)  # the number of beats and of steps go up together


def test_a_reader_never_sees_a_record_of_two_beats(tmp_path: Path) -> None:
    writer = multiprocessing.get_context("fork").Process(target=_beat_for_ever, args=(tmp_path / "heart",), daemon=True)
    writer.start()
    seen: set[int] = set()
    deadline = time.monotonic() + 120
    while len(seen) < 200:
        read = read_beat(tmp_path / "heart")
        assert read is None or not read.beats or read.step == read.beats - 1
        seen |= {read.beats} if read else set()
        assert time.monotonic() < deadline
    writer.kill()
    writer.join()


def test_a_beat_costs_microseconds(tmp_path: Path) -> None:
    heart: Heartbeat = HeartbeatFile(tmp_path / "heart")
    best = min(_seconds_of(heart, 1000) for _ in range(5))
    assert best / 1000 < 1e-3  # about 1 µs on an idle machine; one that synced a disk would take milliseconds


def _seconds_of(heart: Heartbeat, beats: int) -> float:
    start = time.perf_counter()
    for _ in range(beats):
        heart.beat()
    return time.perf_counter() - start
