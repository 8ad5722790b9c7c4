"""What stands beside an outcome in last words is believed only as far as it can be true."""

import json
from typing import Any

import pytest

from finetune_operator.facts import Hang, claimed_attempt_of, hang_of, suspects_of


def told(**facts: Any) -> str:
    """Last words with these facts."""
    return json.dumps({"outcome": "Retryable", **facts})


def test_the_rank_that_the_others_wait_for_is_frozen_or_furthest_behind() -> None:
    frozen, behind, ahead, silent = (
        hang_of(told(hang={"beats": 90, "frozen": True})),
        hang_of(told(hang={"beats": 7})),
        hang_of(told(hang={"beats": 8, "frozen": False})),
        hang_of(told()),
    )
    assert sorted([ahead, silent, behind, frozen], key=lambda one: one.order) == [frozen, behind, ahead, silent]


@pytest.mark.parametrize("said", ["", "[", "[" * 100_000, "3", '{"hang": 3}', '{"hang": {"beats": -1, "frozen": 1}}'])
def test_a_hang_without_sense_says_nothing(said: str) -> None:
    assert hang_of(said) == Hang()


@pytest.mark.parametrize(
    ("suspects", "ranks"),
    [([2, 0, 2], (2, 0)), ([True, -1, 1.5, "1", 10**9], ()), ({"0": 1}, ()), (None, ()), (list(range(5000)), None)],
)
def test_suspects_are_ranks(suspects: Any, ranks: tuple[int, ...] | None) -> None:
    found = suspects_of(told(suspects=suspects))
    assert found == ranks if ranks is not None else len(found) == 1000


@pytest.mark.parametrize(("claimed", "number"), [(7, 7), (-1, None), (True, None), ("7", None), (99_999, None)])
def test_a_claim_leaves_room_for_the_attempts_that_follow(claimed: Any, number: int | None) -> None:
    assert claimed_attempt_of(told(claimedAttempt=claimed)) == number
