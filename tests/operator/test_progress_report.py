"""What a pod says of its run is believed only as far as it can be true."""

import json

import pytest

from finetune_api.status import ProgressStatus
from finetune_operator.progress_report import LastWords, last_words_of, progress_of


@pytest.mark.parametrize("told", ["", "{", "[]", "3", '{"progress": 3}', '{"outcome": "Succeeded"}', "[" * 100_000])
def test_a_message_without_progress_tells_nothing(told: str) -> None:
    assert last_words_of(told) is None


def test_the_progress_of_a_message_is_read_by_the_names_of_its_document() -> None:
    told = json.dumps({"progress": {"step": 3, "totalSteps": 9, "firstStep": 2, "phase": "done"}})
    assert last_words_of(told) == LastWords(ProgressStatus(step=3, total_steps=9), first_step=2)


@pytest.mark.parametrize("first", [-1, True, 1.5, "2", 2**60, None])
def test_an_absurd_first_step_is_passed_over(first: object) -> None:
    words = last_words_of(json.dumps({"progress": {"firstStep": first}}))
    assert words is not None
    assert words.first_step is None


def test_one_absurd_number_does_not_hide_the_others() -> None:
    assert progress_of({"step": 10**30, "loss": 2.5}) == ProgressStatus(loss=2.5)
