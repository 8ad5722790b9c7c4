"""Which attempt comes next in an output directory."""

import subprocess
import sys
from pathlib import Path

import pytest

from finetune_api.errors import ConfigInvalid
from finetune_cli.attempts import Attempt, make_room, next_attempt
from finetune_trainer.checkpoint.claims import Claim, claim


def test_an_empty_or_missing_output_begins_with_attempt_0(tmp_path: Path) -> None:
    for output in (tmp_path, tmp_path / "missing"):
        attempt = next_attempt(output, resume=False)
        assert (attempt.number, attempt.resumes) == (0, False)


def test_a_used_output_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ConfigInvalid, match=r"not empty; continue what is there with --resume, or .* --output"):
        next_attempt(tmp_path, resume=False)


def test_logs_of_a_run_that_never_claimed_anything_do_not_make_an_output_used(tmp_path: Path) -> None:
    first = next_attempt(tmp_path, resume=False)
    make_room(first)
    (first.directory / "old").touch()
    second = next_attempt(tmp_path, resume=False)
    make_room(second)
    assert second.number == 0
    assert not (second.directory / "old").exists()


def test_resuming_keeps_the_jobs_uid_and_counts_on(tmp_path: Path) -> None:
    claim(tmp_path, Claim(0, "job", None))
    claim(tmp_path, Claim(1, "job", "step-4"))
    attempt = next_attempt(tmp_path, resume=True)
    assert (attempt.number, attempt.job_uid, attempt.resumes) == (2, "job", True)


def test_resuming_where_nothing_is_begins_anew(tmp_path: Path) -> None:
    attempt = next_attempt(tmp_path, resume=True)
    assert (attempt.number, attempt.resumes) == (0, False)


def test_another_jobs_output_is_continued_under_a_new_uid_when_it_is_named(tmp_path: Path) -> None:
    claim(tmp_path, Claim(3, "older", None))
    attempt = next_attempt(tmp_path, resume=False, resume_from="older")
    assert attempt.number == 4
    assert attempt.job_uid != "older"


def test_a_directory_that_another_run_is_using_is_refused(tmp_path: Path) -> None:
    attempt = next_attempt(tmp_path, resume=False)
    make_room(attempt)
    attempt.run_dir(0).mkdir()
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as other:
        (attempt.run_dir(0) / "pid.launcher").write_text(str(other.pid), encoding="ascii")
        with pytest.raises(ConfigInvalid, match="another run is using"):
            make_room(attempt)
        other.kill()
    make_room(attempt)


def test_an_output_that_cannot_be_written_says_why(tmp_path: Path) -> None:
    (tmp_path / "logs").touch()
    with pytest.raises(ConfigInvalid, match=f"cannot write to {tmp_path}: Not a directory"):
        make_room(next_attempt(tmp_path, resume=False))


def test_an_output_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for resume in (False, True):
        with pytest.raises(ConfigInvalid, match="is not a directory; name another one"):
            next_attempt(tmp_path / "file", resume=resume)


def test_an_attempt_that_still_runs_is_not_taken_over_by_the_next(tmp_path: Path) -> None:
    first = next_attempt(tmp_path, resume=False)
    make_room(first)
    first.run_dir(0).mkdir()
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as other:
        (first.run_dir(0) / "pid.launcher").write_text(str(other.pid), encoding="ascii")
        with pytest.raises(ConfigInvalid, match="another run is using"):
            make_room(Attempt(tmp_path, 1, "job", resumes=True))
        other.kill()
