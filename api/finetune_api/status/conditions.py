"""Conditions of a job, and the one word that sums them up."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final

from pydantic import Field

from finetune_api.reasons import (
    TERMINAL,
    ConditionStatus,
    ConditionType,
    Reason,
    State,
    find_reason,
)
from finetune_api.status.part import Message, Number, StatusPart, Timestamp

_DECISIVE: Final = (
    ConditionType.COMPLETE,
    ConditionType.FAILED,
    ConditionType.STALLED,
    ConditionType.SUSPENDED,
    ConditionType.RUNNING,
    ConditionType.DATASET_PREPARED,
    ConditionType.RECONCILING,
)
"""The first of these that says something about the whole job decides its state."""


class Condition(StatusPart):
    """One thing that is true, false or unknown of the job."""

    type: Annotated[str, Field(min_length=1, max_length=316)] = Field(description="What is said of the job.")
    status: ConditionStatus = Field(description="Whether it is so.")
    reason: Annotated[str, Field(min_length=1, max_length=128)] = Field(description="CamelCase word for why.")
    message: Message = Field(default="", description="A sentence that says why.")
    observed_generation: Number | None = Field(
        default=None, description="metadata.generation of the job that this was said of."
    )
    last_transition_time: Timestamp = Field(description="When status last changed.")


Conditions = tuple[Condition, ...]


def condition_of(conditions: Sequence[Condition], kind: ConditionType) -> Condition | None:
    """Return the condition of type `kind`, or None while nothing is said about it."""
    return next((one for one in conditions if one.type == kind), None)


def is_true(conditions: Sequence[Condition], kind: ConditionType) -> bool:
    """Tell whether the condition of type `kind` is True."""
    found = condition_of(conditions, kind)
    return found is not None and found.status == "True"


def is_terminal(conditions: Sequence[Condition]) -> bool:
    """Tell whether the job is over."""
    return any(is_true(conditions, kind) for kind in TERMINAL)


def with_condition(
    conditions: Sequence[Condition], row: Reason, message: str, now: datetime, generation: int | None = None
) -> Conditions:
    """Return `conditions` with what `row` says; the transition time only moves when the status changes.

    Raises ValueError when `row` is for Events only.
    """
    if row.condition is None:
        raise ValueError(f"{row.name} is a reason of Events, not of a condition")
    before = condition_of(conditions, row.condition)
    moved = before is None or before.status != row.status
    after = Condition(
        type=row.condition,
        status=row.status,
        reason=row.name,
        message=message,
        observed_generation=generation,
        last_transition_time=now if moved or before is None else before.last_transition_time,
    )
    if before is None:
        return (*conditions, after)
    return tuple(after if one.type == row.condition else one for one in conditions)


def state_of(conditions: Sequence[Condition]) -> State:
    """Return the one word for a job with `conditions`; a job nothing is said of is Pending."""
    found = decisive_condition(conditions)
    row = find_reason(found.type, found.reason) if found else None
    return row.state if row and row.state else _state_without_reasons(conditions)


def decisive_condition(conditions: Sequence[Condition]) -> Condition | None:
    """Return the condition from which the state of the job follows, or None when none of them decides it."""
    for kind in _DECISIVE:
        found = condition_of(conditions, kind)
        row = find_reason(kind, found.reason) if found else None
        if found and row and row.state and row.status == found.status:
            return found
    return None


def _state_without_reasons(conditions: Sequence[Condition]) -> State:
    """Return the state of conditions whose reasons another version of the operator wrote."""
    kinds = (*TERMINAL, ConditionType.STALLED, ConditionType.SUSPENDED, ConditionType.RUNNING)
    return next((State(kind.value) for kind in kinds if is_true(conditions, kind)), State.PENDING)
