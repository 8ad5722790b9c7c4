from datetime import timedelta

import pytest

from finetune_api.status import ProgressStatus
from finetune_cli.cluster.progress_text import age, bar, facts, printable, speed, steps, time_left
from support.job_stories import NOW, PROGRESS

PROGRESS_STATUS = ProgressStatus.model_validate(PROGRESS)


def test_the_bar_shows_the_share_of_steps_and_nothing_while_that_is_unknown() -> None:
    assert bar(PROGRESS_STATUS, 10) == "━━━╌╌╌╌╌╌╌"
    assert bar(PROGRESS_STATUS, 10, plain=True) == "###......."
    assert bar(ProgressStatus(percent=50), 4, plain=True) == "##.."
    assert bar(ProgressStatus(step=50, total_steps=40), 4, plain=True) == "####"
    assert (bar(None, 10), bar(ProgressStatus(step=3), 10)) == ("", "")


def test_numbers_that_are_not_known_are_a_dash() -> None:
    assert (steps(None), speed(None), time_left(None, NOW)) == ("-", "-", "-")
    assert (steps(ProgressStatus(step=3)), steps(PROGRESS_STATUS)) == ("3", "12/40")
    assert facts(ProgressStatus(), NOW) == []


def test_all_that_is_known_is_told() -> None:
    told = " · ".join(facts(PROGRESS_STATUS, NOW))
    assert told == "step 12/40 · 30% · epoch 0.30 · loss 1.2346 · eval loss 1.5000 · 410 tokens/s · 3m05s left"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-5, "0s"), (0.9, "0s"), (59, "59s"), (185, "3m05s"), (7620, "2h07m"), (3600 * 24 * 6 + 4 * 3600, "6d04h")],
)
def test_ages_are_short(seconds: float, words: str) -> None:
    assert age(NOW, NOW + timedelta(seconds=seconds)) == words


def test_what_a_terminal_would_obey_is_taken_out() -> None:
    assert printable("\x1b[2Jgone\x07\x9b1m\r") == "[2Jgone1m"
    assert printable("two\nlines\tü") == "two\nlines\tü"
