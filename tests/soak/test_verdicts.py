"""The small model of what must become of a job."""

import pytest

from finetune_api.outcomes import ENDINGS, RetryPolicy
from soak.script import FREE_LIMIT, Act, Kind
from soak.verdicts import USER_REASONS, End, Ledger, ruling_of


def test_the_table_of_user_failures_is_the_documented_one() -> None:
    assert {end.exit_code: end.outcome.value for end in ENDINGS if end.retry is RetryPolicy.NEVER} == USER_REASONS


def test_every_act_that_ends_an_attempt_has_a_ruling() -> None:
    without = {Kind.RESTART_BUDGET, Kind.DELETE_JOB, Kind.RECREATE_JOB}
    assert all(ruling_of(Act(kind, code=3)).outcome for kind in Kind if kind not in without)


def test_failures_use_up_the_budget() -> None:
    ledger = Ledger(most=1)
    ledger.attempt_ended("Failure", "Crashed", checkpoint=False)
    assert (ledger.restarts, ledger.end) == (1, None)
    ledger.attempt_ended("Hang", "Hang", checkpoint=False)
    assert (ledger.restarts, ledger.end) == (1, End("Failed", frozenset({"RestartsExhausted"})))


def test_disruptions_leave_the_budget_alone() -> None:
    ledger = Ledger(most=0)
    for _ in range(FREE_LIMIT - 1):
        ledger.attempt_ended("Disruption", "Removed", checkpoint=False)
    assert (ledger.restarts, ledger.end) == (0, None)


def test_too_many_disruptions_without_a_checkpoint_end_a_job() -> None:
    ledger = Ledger(most=3)
    for _ in range(FREE_LIMIT):
        ledger.attempt_ended("NodeLoss", "NodeLost", checkpoint=False)
    assert ledger.end == End("Failed", frozenset({"NoProgress"}))


def test_where_a_checkpoint_may_have_been_seen_both_ends_are_right() -> None:
    ledger = Ledger(most=3)
    for number in range(FREE_LIMIT):
        ledger.attempt_ended("Disruption", "Drained", checkpoint=number == 2)
    assert ledger.end is None
    assert ledger.may_end == End("Failed", frozenset({"NoProgress"}))


def test_anything_else_interrupts_a_row_of_disruptions() -> None:
    ledger = Ledger(most=3)
    for _ in range(3):
        for _ in range(FREE_LIMIT - 1):
            ledger.attempt_ended("Disruption", "Removed", checkpoint=False)
        ledger.attempt_ended("Suspended", "Suspended", checkpoint=False)
    assert ledger.end is ledger.may_end is None


def test_what_the_operator_ended_itself_neither_counts_nor_interrupts() -> None:
    ledger = Ledger(most=3)
    for number in range(FREE_LIMIT):
        ledger.attempt_ended("Disruption", "Removed", checkpoint=False)
        if number < FREE_LIMIT - 1:
            ledger.attempt_ended("Cancelled", "Resized", checkpoint=False)
    assert ledger.end == End("Failed", frozenset({"NoProgress"}))


@pytest.mark.parametrize(
    ("outcome", "reason", "end"),
    [
        ("Succeeded", "Succeeded", "Complete"),
        ("UserFailure", "Diverged", "Failed"),
        ("Cancelled", "DeadlineExceeded", "Failed"),
    ],
)
def test_some_ends_of_attempts_end_the_job(outcome: str, reason: str, end: str) -> None:
    ledger = Ledger(most=3)
    ledger.attempt_ended(outcome, reason, checkpoint=False)
    assert ledger.end is not None
    assert ledger.end.condition == end


def test_failures_of_preparing_are_counted_and_disruptions_are_not() -> None:
    ledger = Ledger(most=1)
    for kind in (Kind.EVICTED, Kind.CRASH, Kind.POD_REMOVED, Kind.EVICTION):
        ledger.preparing_failed(Act(kind))
    assert (ledger.restarts, ledger.end) == (1, None)
    ledger.preparing_failed(Act(Kind.OOM_KILLED))
    assert ledger.end == End("Failed", frozenset({"RestartsExhausted"}))
