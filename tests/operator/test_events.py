"""Events tell people what changed between two statuses, once."""

from datetime import UTC, datetime

from finetune_api.reasons import AttemptOutcome, ConditionType, reason_of
from finetune_api.status import AttemptStatus, FailureStatus, JobStatus, with_condition
from finetune_operator.events import events_between

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def saying(kind: ConditionType, name: str, **facts: object) -> JobStatus:
    """A status with one condition."""
    row = reason_of(kind, name)
    return JobStatus(conditions=with_condition((), row, row.say(**facts), NOW))


def test_a_status_that_stays_tells_nothing() -> None:
    status = saying(ConditionType.RUNNING, "Starting", attempt=0, ready=0, nodes=2)
    assert events_between(status, status) == ()


def test_a_new_reason_is_told_and_a_new_sentence_alone_is_not() -> None:
    none = saying(ConditionType.RUNNING, "Starting", attempt=0, ready=0, nodes=2)
    one = saying(ConditionType.RUNNING, "Starting", attempt=0, ready=1, nodes=2)
    held = saying(ConditionType.RUNNING, "Unschedulable", pod="arc-0-1", message="no room")
    assert events_between(none, one) == ()
    (event,) = events_between(one, held)
    assert (event.reason, event.message, event.warning) == (
        "Unschedulable", "Pod arc-0-1 cannot be placed: no room", True,
    )  # fmt: skip


def test_the_end_of_an_attempt_and_the_next_one_are_told_in_order() -> None:
    before = JobStatus(attempts=(AttemptStatus(number=0, nodes=2),))
    ended = AttemptStatus(number=0, nodes=2, outcome=AttemptOutcome.FAILURE, message="boom")
    after = JobStatus(attempts=(ended, AttemptStatus(number=1, nodes=2)))
    assert [(event.reason, event.warning) for event in events_between(before, after)] == [
        ("AttemptEnded", True),
        ("AttemptStarted", False),
    ]


def test_what_only_tools_read_is_not_told() -> None:
    assert events_between(JobStatus(), saying(ConditionType.RECONCILING, "Preparing")) == ()
    assert events_between(JobStatus(), saying(ConditionType.STALLED, "JobFailed", message="x")) == ()


def test_the_end_of_an_attempt_names_the_place_of_its_cause_before_anything_that_may_be_cut() -> None:
    cause = FailureStatus(reason="Crashed", rank=3, pod="arc-0-1", node="gpu-7", step=120, exit_code=137)
    before = JobStatus(attempts=(AttemptStatus(number=0, nodes=2),))
    ended = AttemptStatus(number=0, nodes=2, outcome=AttemptOutcome.FAILURE, message="boom")
    (event,) = events_between(before, JobStatus(attempts=(ended,), failure=cause))
    assert event.message == (
        "Attempt 0 ended as Failure at rank 3, pod arc-0-1, node gpu-7, step 120, exit code 137: boom"
    )


def test_a_cause_from_before_is_not_that_of_a_later_end() -> None:
    cause = FailureStatus(reason="Crashed", rank=3)
    before = JobStatus(attempts=(AttemptStatus(number=0, nodes=2),), failure=cause)
    ended = AttemptStatus(number=0, nodes=2, outcome=AttemptOutcome.CANCELLED, reason="Resized", message="4 now.")
    (event,) = events_between(before, JobStatus(attempts=(ended,), failure=cause))
    assert (event.message, event.warning) == ("Attempt 0 ended as Cancelled: 4 now.", False)


def test_an_attempt_that_begins_before_the_newest_checkpoint_says_so_once() -> None:
    expected = JobStatus(attempts=(AttemptStatus(number=1, nodes=2, first_step=40),))
    told = JobStatus(attempts=(AttemptStatus(number=1, nodes=2, first_step=20),))
    (event,) = events_between(expected, told)
    assert (event.reason, event.warning) == ("CheckpointsSkipped", True)
    assert "after step 20 instead of 40" in event.message
    assert events_between(told, told) == ()
    assert events_between(told, expected) == ()
