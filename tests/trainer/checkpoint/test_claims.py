"""Attempts claim an output by number: one holder each, the newest wins, other jobs stay out."""

import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_api.errors import ConfigInvalid, Retryable, Superseded
from finetune_trainer.checkpoint.claims import (
    Claim,
    claim,
    claimed_attempt,
    decide,
    inherited_attempts,
    read_claims,
    refuse_late_attempts,
    refuse_other_jobs,
    require_newest,
)

CONTENDER = """
import sys
from pathlib import Path
from finetune_api.errors import Retryable
from finetune_trainer.checkpoint.claims import Claim, claim

print("ready", flush=True)
sys.stdin.readline()
try:
    claim(Path(sys.argv[1]), Claim(3, sys.argv[2], None))
except Retryable:
    sys.exit(75)
"""


def test_a_claim_says_who_holds_the_output_and_where_it_goes_on(tmp_path: Path) -> None:
    claim(tmp_path, Claim(0, "job", None))
    claim(tmp_path, Claim(4, "job", "step-00000007-attempt-0000"))
    assert read_claims(tmp_path) == [Claim(4, "job", "step-00000007-attempt-0000"), Claim(0, "job", None)]


def test_claims_are_ordered_by_number_not_by_name(tmp_path: Path) -> None:
    for attempt in (9, 10, 100):
        claim(tmp_path, Claim(attempt, "job", None))
    assert [held.attempt for held in read_claims(tmp_path)] == [100, 10, 9]


def test_an_output_nobody_used_has_no_claims(tmp_path: Path) -> None:
    assert read_claims(tmp_path / "new") == []


@pytest.mark.parametrize("attempt", [0, 2, 3])
def test_a_number_that_is_taken_or_passed_cannot_be_claimed(attempt: int, tmp_path: Path) -> None:
    claim(tmp_path, Claim(3, "job", None))
    with pytest.raises(Retryable, match=f"attempt {attempt} comes too late: .* is claimed by attempt 3"):
        claim(tmp_path, Claim(attempt, "job", None))
    assert [held.attempt for held in read_claims(tmp_path)] == [3]


def test_of_many_threads_one_gets_the_claim_and_its_content_is_whole(tmp_path: Path) -> None:
    def contend(number: int) -> Claim | None:
        try:
            return claim(tmp_path, Claim(1, "job", f"step-{number:08d}-attempt-0000"))
        except Retryable:
            return None

    with ThreadPoolExecutor(8) as pool:
        won = [held for held in pool.map(contend, range(32)) if held]
    assert len(won) == 1
    assert read_claims(tmp_path) == won
    assert [path.name for path in (tmp_path / "attempts").iterdir()] == ["1.json"]


def test_of_several_processes_one_gets_the_claim(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CONTENDER, str(tmp_path), "job"]
    contenders = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    for contender in contenders:
        assert contender.stdout is not None
        assert contender.stdout.readline() == "ready\n"
    for contender in contenders:
        contender.communicate("go\n", timeout=300)
    assert sorted(contender.returncode for contender in contenders) == [0, 75, 75, 75]


def test_a_newer_attempt_takes_the_output_away(tmp_path: Path) -> None:
    own = claim(tmp_path, Claim(1, "job", None))
    require_newest(tmp_path, own)
    claim(tmp_path, Claim(2, "job", None))
    with pytest.raises(Retryable, match=r"attempt 2 has taken over .*; attempt 1 leaves it alone"):
        require_newest(tmp_path, own)


def test_another_job_is_kept_out_and_told_what_to_do(tmp_path: Path) -> None:
    claim(tmp_path, Claim(1, "first", None))
    with pytest.raises(ConfigInvalid, match=r"another job \(uid first\).*resumeFrom"):
        claim(tmp_path, Claim(2, "second", None))
    assert len(read_claims(tmp_path)) == 1


def test_a_job_may_go_on_from_one_that_it_names(tmp_path: Path) -> None:
    claim(tmp_path, Claim(1, "first", None))
    claim(tmp_path, Claim(2, "second", "base"), resume_from="first")
    claim(tmp_path, Claim(3, "second", "base"))  # its own next attempt need not name it again
    with pytest.raises(ConfigInvalid, match="uid second"):
        claim(tmp_path, Claim(4, "first", None))


def test_naming_a_job_long_past_is_not_enough(tmp_path: Path) -> None:
    held = [Claim(2, "second", None), Claim(1, "first", None)]
    with pytest.raises(ConfigInvalid, match="uid second"):
        refuse_other_jobs(tmp_path, held, "third", "first")
    refuse_other_jobs(tmp_path, held, "third", "second")


@given(
    order=st.permutations(range(5)),
)
def test_whatever_the_order_of_arrival_the_highest_number_is_the_newest(
    order: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    output = tmp_path_factory.mktemp("output")
    held = []
    for attempt in order:
        try:
            held.append(claim(output, Claim(attempt, "job", None)))
        except Retryable:
            assert any(earlier.attempt > attempt for earlier in held)
    assert read_claims(output)[0].attempt == max(order)
    assert [json.loads(path.read_text())["uid"] for path in (output / "attempts").iterdir()] == ["job"] * len(held)


def test_attempts_follow_those_of_the_job_that_is_continued() -> None:
    held = [Claim(3, "me", None), Claim(2, "other", None), Claim(0, "other", None)]
    assert inherited_attempts(held, "me") == 3
    assert inherited_attempts(held[:1], "me") == 0
    assert inherited_attempts([], "me") == 0


def test_what_the_newest_attempt_of_a_job_is_called_is_counted_within_the_job(tmp_path: Path) -> None:
    assert claimed_attempt(tmp_path, "first") is None
    claim(tmp_path, Claim(0, "first", None))
    claim(tmp_path, Claim(1, "first", None))
    claim(tmp_path, Claim(2, "second", None), resume_from="first")
    claim(tmp_path, Claim(4, "second", None))
    assert claimed_attempt(tmp_path, "second") == 2
    assert claimed_attempt(tmp_path, "third") is None


@pytest.mark.parametrize(("attempt", "late"), [(0, True), (3, True), (4, False)])
def test_an_attempt_whose_number_was_claimed_is_late_before_anything_starts(
    attempt: int, late: bool, tmp_path: Path
) -> None:
    refuse_late_attempts(tmp_path, "job", attempt)
    claim(tmp_path, Claim(3, "job", None))
    refuse_late_attempts(tmp_path, "other", attempt)
    if late:
        with pytest.raises(Superseded, match=f"attempt {attempt} comes too late: .* claimed by attempt 3"):
            refuse_late_attempts(tmp_path, "job", attempt)
    else:
        refuse_late_attempts(tmp_path, "job", attempt)


def test_a_claim_is_decided_by_its_holder_and_is_whole_all_the_time(tmp_path: Path) -> None:
    own = claim(tmp_path, Claim(3, "job", None, decided=False))
    assert read_claims(tmp_path) == [own]
    assert decide(tmp_path, own, "step-00000001-attempt-0000") == read_claims(tmp_path)[0]
    assert read_claims(tmp_path) == [Claim(3, "job", "step-00000001-attempt-0000")]
    assert [path.name for path in (tmp_path / "attempts").iterdir()] == ["3.json"]


@pytest.mark.parametrize("name", ["0 (copy).json", "-1.json", "notes.json", ".5.json"])
def test_what_is_not_named_like_a_claim_is_none(name: str, tmp_path: Path) -> None:
    own = claim(tmp_path, Claim(0, "job", None))
    (tmp_path / "attempts" / name).write_text("{}")
    require_newest(tmp_path, own)
    assert read_claims(tmp_path) == [own]


def test_claims_that_were_removed_under_an_attempt_are_told_with_their_folder(tmp_path: Path) -> None:
    own = claim(tmp_path, Claim(0, "job", None))
    shutil.rmtree(tmp_path / "attempts")
    with pytest.raises(Retryable, match=r"claims: .*/attempts is empty or gone"):
        require_newest(tmp_path, own)
