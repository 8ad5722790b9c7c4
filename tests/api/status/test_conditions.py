from datetime import UTC, datetime, timedelta

import pytest

from finetune_api.reasons import REASONS, ConditionType, Reason, State, reason_of
from finetune_api.status import (
    Condition,
    Conditions,
    condition_of,
    is_terminal,
    is_true,
    state_of,
    with_condition,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)


def said(*rows: tuple[ConditionType, str], before: Conditions = (), now: datetime = NOW) -> Conditions:
    for kind, name in rows:
        before = with_condition(before, reason_of(kind, name), "Because.", now, 1)
    return before


RUNNING = (ConditionType.RUNNING, "Training")
STARTING = (ConditionType.RUNNING, "Starting")
UNREACHABLE = (ConditionType.RUNNING, "ProgressUnreachable")
PREPARED = (ConditionType.DATASET_PREPARED, "Prepared")
SUSPENDED = (ConditionType.SUSPENDED, "Suspended")
FAILED = (ConditionType.FAILED, "Diverged")


def test_a_condition_says_what_its_row_says() -> None:
    (condition,) = said(RUNNING)
    assert (condition.type, condition.status, condition.reason) == ("Running", "True", "Training")
    assert (condition.message, condition.observed_generation) == ("Because.", 1)
    assert condition.last_transition_time == NOW


def test_the_transition_time_moves_with_the_status_only() -> None:
    before = said(RUNNING)
    assert said(UNREACHABLE, before=before, now=LATER)[0].last_transition_time == NOW
    assert said(STARTING, before=before, now=LATER)[0].last_transition_time == LATER


def test_saying_the_same_again_changes_nothing() -> None:
    before = said(PREPARED, RUNNING)
    assert said(PREPARED, RUNNING, before=before, now=LATER) == before


def test_a_condition_keeps_its_place_among_the_others() -> None:
    conditions = said(PREPARED, RUNNING, (ConditionType.DATASET_PREPARED, "Retrying"))
    assert [one.type for one in conditions] == ["DatasetPrepared", "Running"]


def test_a_reason_of_events_is_no_condition() -> None:
    with pytest.raises(ValueError, match="JobDeleted is a reason of Events"):
        with_condition((), reason_of(None, "JobDeleted"), "Gone.", NOW)


def test_what_is_not_said_is_not_true() -> None:
    assert condition_of((), ConditionType.RUNNING) is None
    assert not is_true((), ConditionType.RUNNING)
    assert not is_true(said(STARTING), ConditionType.RUNNING)
    assert is_true(said(RUNNING), ConditionType.RUNNING)


def test_a_job_is_over_when_it_is_complete_or_failed() -> None:
    assert is_terminal(said(FAILED))
    assert is_terminal(said((ConditionType.COMPLETE, "Succeeded")))
    assert not is_terminal(said(RUNNING, PREPARED))


@pytest.mark.parametrize(
    ("rows", "state"),
    [
        ((), State.PENDING),
        (((ConditionType.RECONCILING, "Accepting"),), State.PENDING),
        (((ConditionType.RECONCILING, "Preparing"), (ConditionType.DATASET_PREPARED, "Preparing")), State.PREPARING),
        (((ConditionType.DATASET_PREPARED, "Unschedulable"),), State.PENDING),
        ((PREPARED, STARTING), State.STARTING),
        ((PREPARED, (ConditionType.RUNNING, "QuotaExceeded")), State.PENDING),
        ((PREPARED, RUNNING), State.RUNNING),
        ((PREPARED, UNREACHABLE), State.RUNNING),
        ((PREPARED, (ConditionType.RUNNING, "Restarting")), State.RESTARTING),
        ((PREPARED, RUNNING, (ConditionType.SUSPENDED, "Suspending")), State.SUSPENDING),
        ((PREPARED, (ConditionType.RUNNING, "Stopped"), SUSPENDED), State.SUSPENDED),
        ((PREPARED, RUNNING, (ConditionType.SUSPENDED, "Resumed")), State.RUNNING),
        (((ConditionType.STALLED, "ChildRefused"), PREPARED), State.STALLED),
        ((FAILED, (ConditionType.STALLED, "JobFailed"), RUNNING), State.FAILED),
        (((ConditionType.COMPLETE, "Succeeded"), RUNNING), State.COMPLETE),
    ],
)
def test_one_word_sums_up_the_conditions(rows: tuple[tuple[ConditionType, str], ...], state: State) -> None:
    assert state_of(said(*rows)) is state
    assert state_of(tuple(reversed(said(*rows)))) is state


@pytest.mark.parametrize(("kind", "state"), [("Running", "Running"), ("Failed", "Failed"), ("New", "Pending")])
def test_conditions_of_another_version_still_have_a_word(kind: str, state: str) -> None:
    condition = Condition(type=kind, status="True", reason="Novel", last_transition_time=NOW)
    assert state_of((condition,)) == state


@pytest.mark.parametrize("row", [row for row in REASONS if row.condition and row.state])
def test_a_condition_alone_gives_the_state_of_its_row(row: Reason) -> None:
    assert state_of(with_condition((), row, "Because.", NOW)) is row.state
