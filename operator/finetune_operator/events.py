"""Events: what has changed between two statuses, told to people."""

from collections.abc import Iterator

from finetune_api.reasons import AttemptOutcome, ConditionType, find_reason, reason_of
from finetune_api.status import AttemptStatus, Condition, FailureStatus, JobStatus, condition_of
from finetune_operator.attempts import RESIZED
from finetune_operator.decision import Event


def events_between(before: JobStatus, after: JobStatus) -> tuple[Event, ...]:
    """Return an event for each condition with another status or reason, and each attempt begun, set back or over."""
    return (*_of_attempts(before, after), *_of_conditions(before, after))


def _of_conditions(before: JobStatus, after: JobStatus) -> Iterator[Event]:
    for condition in after.conditions:
        known = condition_of(before.conditions, ConditionType(condition.type))
        if known is None or (known.status, known.reason) != (condition.status, condition.reason):
            yield from _of_condition(condition)


def _of_condition(condition: Condition) -> Iterator[Event]:
    # Failed says the same as a Stalled that comes with it; the others of kstatus's are for tools.
    tool = condition.type == ConditionType.RECONCILING or condition.reason in ("JobFailed", "NotStalled")
    row = find_reason(condition.type, condition.reason)
    if not tool:
        yield Event(condition.reason, condition.message, row.warning if row else False)


def _of_attempts(before: JobStatus, after: JobStatus) -> Iterator[Event]:
    known = {attempt.number: attempt for attempt in before.attempts}
    for attempt in after.attempts:
        earlier = known.get(attempt.number)
        if attempt.outcome is not None and (earlier is None or earlier.outcome is None):
            cause = after.failure if after.failure != before.failure else None
            yield _ended(attempt, attempt.outcome, cause)
        if earlier is None:
            row = reason_of(None, "AttemptStarted")
            yield Event(row.name, row.say(attempt=attempt.number, nodes=attempt.nodes))
        elif (attempt.first_step or 0) < (earlier.first_step or 0):
            row = reason_of(None, "CheckpointsSkipped")
            said = row.say(attempt=attempt.number, step=attempt.first_step, saved=earlier.first_step)
            yield Event(row.name, said, row.warning)


def _ended(attempt: AttemptStatus, outcome: AttemptOutcome, cause: FailureStatus | None) -> Event:
    row = reason_of(None, "AttemptEnded")
    resized = outcome is AttemptOutcome.CANCELLED and attempt.reason == RESIZED
    asked = resized or outcome in (AttemptOutcome.SUCCEEDED, AttemptOutcome.SUSPENDED)
    where = f" at {cause.where()}" if cause is not None and cause.where() else ""
    facts = {"outcome": outcome.value, "where": where, "message": attempt.message or ""}
    return Event(row.name, row.say(attempt=attempt.number, **facts), row.warning and not asked)
