"""When silence is too long and who is behind, in virtual time."""

from dataclasses import replace
from math import inf

import pytest

from finetune_trainer.heartbeat import PHASES, Beat, HeartPhase
from finetune_trainer.launcher.watchdog import (
    BOUNDS,
    Answer,
    Bound,
    behind,
    bounds_of,
    parse_phase_timeouts,
    sentence,
    silent_rank,
)

SECOND = 10**9
START = 1_000_000 * SECOND


def beat(phase: HeartPhase, **changes: object) -> Beat:
    """A rank that entered a phase at the start and has been silent since."""
    said = Beat(100, 7, START, START, longest_step=2.0, longest_save=30.0, patience=0.0, phase=phase)
    return replace(said, **changes)  # type: ignore[arg-type]


def falls_silent(said: Beat, bounds: dict[HeartPhase, Bound] | None = None) -> float:
    """The first second after the start at which a rank counts as silent."""
    table = bounds or BOUNDS
    low, high = 0, 10**6
    if silent_rank({0: said}, table, START + high * SECOND) is None:
        return inf
    while low < high:
        middle = (low + high) // 2
        late = silent_rank({0: said}, table, START + middle * SECOND) is not None
        low, high = (low, middle) if late else (middle + 1, high)
    return low


@pytest.mark.parametrize(
    ("phase", "seconds"),
    [
        ("import", 901),
        ("prepare", inf),
        ("load", 3601),
        ("first_step", 1801),
        ("step", 121),
        ("save", 601),
        ("eval", 601),
        ("export", 3601),
        ("report", 601),
        ("done", inf),
    ],
)
def test_each_phase_has_a_bound_of_its_own(phase: HeartPhase, seconds: float) -> None:
    assert falls_silent(beat(phase)) == seconds


def test_no_phase_is_without_a_bound() -> None:
    assert set(BOUNDS) == set(PHASES)


def test_a_step_may_take_ten_times_the_longest_and_a_save_five_times() -> None:
    assert falls_silent(beat("step", longest_step=40.0)) == 401
    assert falls_silent(beat("save", longest_save=300.0)) == 1501
    assert falls_silent(beat("eval", longest_step=90.0)) == 901


def test_before_any_step_was_measured_a_step_may_take_as_long_as_the_first() -> None:
    assert falls_silent(beat("step", longest_step=0.0)) == 1801


def test_before_any_step_was_measured_a_batch_of_an_evaluation_may_take_as_long_as_the_first_step() -> None:
    first = beat("eval", longest_step=0.0, patience=60.0)
    assert falls_silent(first) == 1801
    assert falls_silent(first, dict(bounds_of(7200.0, {}))) == 72001
    assert falls_silent(first, dict(bounds_of(5.0, {}))) == 1801
    assert falls_silent(first, dict(bounds_of(None, parse_phase_timeouts("first_step=9000")))) == 9001
    assert falls_silent(first, dict(bounds_of(None, parse_phase_timeouts("first_step=20")))) == 601


def test_a_batch_of_an_evaluation_may_take_as_long_as_a_job_allows_a_step() -> None:
    assert falls_silent(beat("eval"), dict(bounds_of(7200.0, {}))) == 7201
    assert falls_silent(beat("eval", longest_step=900.0), dict(bounds_of(7200.0, {}))) == 9001
    assert falls_silent(beat("eval"), dict(bounds_of(5.0, {}))) == 601
    image = parse_phase_timeouts("eval=30")
    assert falls_silent(beat("eval", longest_step=0.0), dict(bounds_of(None, image))) == 31
    assert falls_silent(beat("eval"), dict(bounds_of(7200.0, image))) == 7201


def test_before_any_save_was_measured_a_save_may_take_an_hour() -> None:
    assert falls_silent(beat("save", longest_save=0.0)) == 3601


def test_a_chosen_time_for_steps_is_not_overruled_by_the_patience_of_the_peers() -> None:
    chosen = dict(bounds_of(3600.0, {}))
    assert falls_silent(beat("step", longest_step=3.0, patience=600.0), chosen) == 3601
    assert falls_silent(beat("eval", longest_step=3.0, patience=600.0), chosen) == 3601
    assert falls_silent(beat("eval", longest_step=3.0, patience=600.0), dict(bounds_of(5.0, {}))) == 601


def test_a_chosen_time_for_steps_holds_for_the_whole_step_whatever_its_microbatches() -> None:
    told = beat("step", at_ns=START + 4 * SECOND, longest_step=40.0)
    assert falls_silent(told, dict(bounds_of(5.0, {}))) == 6


def test_a_chosen_time_for_steps_leaves_the_first_one_and_the_other_phases_alone() -> None:
    bounds = dict(bounds_of(5.0, {}))
    assert falls_silent(beat("first_step"), bounds) == 1801
    assert falls_silent(beat("save"), bounds) == 601
    assert falls_silent(beat("first_step"), dict(bounds_of(3600.0, {}))) == 36001


def test_what_a_job_says_of_its_steps_counts_more_than_what_its_image_says_of_all() -> None:
    bounds = dict(bounds_of(20.0, parse_phase_timeouts("step=9000,save=30")))
    assert falls_silent(beat("step"), bounds) == 21
    assert falls_silent(beat("save"), bounds) == 31
    assert falls_silent(beat("first_step"), bounds) == 1801
    assert falls_silent(beat("step"), dict(bounds_of(None, parse_phase_timeouts("step=9000")))) == 9001


def test_an_image_may_say_how_long_a_first_step_takes_but_no_less_than_the_job_allows_any() -> None:
    assert falls_silent(beat("first_step"), dict(bounds_of(20.0, parse_phase_timeouts("first_step=600")))) == 601
    assert falls_silent(beat("first_step"), dict(bounds_of(900.0, parse_phase_timeouts("first_step=600")))) == 901


def test_outside_of_steps_every_sign_of_life_starts_the_time_anew() -> None:
    assert falls_silent(beat("eval", at_ns=START + 500 * SECOND)) == 1101
    assert falls_silent(beat("save", at_ns=START + 500 * SECOND)) == 1101


def test_a_rank_with_peers_is_not_waited_for_longer_than_they_would_wait() -> None:
    waited_for = beat("step", longest_step=40.0, patience=200.0)
    assert falls_silent(waited_for) == 201
    assert falls_silent(replace(waited_for, at_ns=START + 100 * SECOND)) == 301
    assert falls_silent(beat("save", patience=200.0)) == 601


def test_ranks_that_are_equally_slow_do_not_wait_for_each_other() -> None:
    assert falls_silent(beat("step", longest_step=700.0, patience=600.0)) == 2101
    assert falls_silent(beat("step", longest_step=0.0, patience=60.0)) == 1801


def test_time_in_which_the_machine_slept_does_not_count() -> None:
    now = START + 1000 * SECOND
    said = {0: beat("step")}
    assert silent_rank(said, BOUNDS, now, awake_since_ns=0) is not None
    assert silent_rank(said, BOUNDS, now, awake_since_ns=now - 119 * SECOND) is None
    assert silent_rank(said, BOUNDS, now, awake_since_ns=now - 121 * SECOND) is not None


def test_of_several_silent_ranks_the_seconds_of_the_one_furthest_behind_are_told() -> None:
    ranks = {0: beat("step", beats=102), 1: beat("step", since_ns=START - 5 * SECOND), 2: beat("done")}
    found = silent_rank(ranks, BOUNDS, START + 130 * SECOND)
    assert found is not None
    assert (found.rank, found.seconds, found.allowed) == (1, 135.0, 120.0)


def answer(beats: int = 100, *, at: int = 0, stack: str | None = "somewhere", waits: bool = False) -> Answer:
    """What a rank said when it was asked."""
    return Answer(beat("step", beats=beats, at_ns=START + at), stack, waits)


@pytest.mark.parametrize(
    ("answers", "rank"),
    [
        ({0: answer(90), 1: answer(99, stack=None)}, 1),
        ({0: answer(99), 1: answer(98)}, 1),
        ({0: answer(98, at=5), 1: answer(99, at=1)}, 0),
        ({0: answer(at=1, waits=True), 1: answer(at=5)}, 1),
        ({0: answer(at=5), 1: answer(at=1)}, 1),
        ({0: answer(90, stack=None), 1: answer(91, stack=None)}, 0),
        ({3: answer()}, 3),
    ],
    ids=["frozen", "fewest points", "points before time", "does not wait itself", "oldest", "both frozen", "alone"],
)
def test_the_rank_that_the_others_wait_for_is_found(answers: dict[int, Answer], rank: int) -> None:
    assert behind(answers) == rank


def test_the_sentence_says_where_for_how_long_and_what_is_allowed() -> None:
    silent = silent_rank({1: beat("step")}, BOUNDS, START + 130 * SECOND)
    assert silent is not None
    text = sentence(1, answer(), silent)
    assert text == "rank 1 fell silent in step 8: no progress for 130 s, where 120 s are allowed"
    assert "stopped, or stuck in the kernel" in sentence(1, answer(stack=None), silent)


@pytest.mark.parametrize("phase", PHASES)
def test_every_phase_has_words(phase: HeartPhase) -> None:
    said = Answer(beat(phase), None, waits=False)
    silent = silent_rank({0: beat("step")}, BOUNDS, START + 130 * SECOND)
    assert silent is not None
    assert sentence(0, said, silent).startswith("rank 0 fell silent ")


def test_times_for_phases_are_read_from_a_list() -> None:
    chosen = parse_phase_timeouts("save=1200, load=inf")
    assert chosen == {"save": 1200.0, "load": inf}
    assert falls_silent(beat("save", longest_save=9e9), dict(bounds_of(None, chosen))) == 1201
    assert falls_silent(beat("load"), dict(bounds_of(None, chosen))) == inf
    assert parse_phase_timeouts("") == {}


@pytest.mark.parametrize("text", ["naps=1", "save=0", "save", "save=-1", "save=soon", "save=nan"])
def test_what_is_no_time_for_a_phase_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=f"'{text}' is not PHASE=SECONDS"):
        parse_phase_timeouts(text)
