"""Since when pods wait, also those of attempts that were replaced because theirs never all ran."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from finetune_api.reasons import AttemptOutcome
from finetune_api.status import AttemptStatus
from finetune_operator.seen_pod import SeenPod
from finetune_operator.view import View, amended

AGAIN: Final = 60
"""Seconds in which the pods of an attempt find the nodes that those of the attempt before had, if they still can."""


def waits_since(attempts: Sequence[AttemptStatus]) -> datetime | None:
    """Return since when the newest of these attempts waits; None when its turn has not come.

    An older CRD drops `waitingSince`: then what is listed of those before it counts.
    """
    since = None
    for attempt in reversed(attempts):
        if attempt is not attempts[-1] and not _in_vain(attempt):
            break
        since = attempt.waiting_since or attempt.start_time or since
    return since


def taking_over(view: View, attempt: AttemptStatus) -> AttemptStatus:
    """Return the next attempt with what it takes over of a newest one that waited in vain: for how long it did."""
    last = view.attempt
    if last is None or not _in_vain(last):
        return attempt
    attempt = amended(attempt, waiting_since=waits_since(view.status.attempts))
    if (last.nodes, last.avoided_nodes) != (attempt.nodes, attempt.avoided_nodes):
        return attempt  # it looks for other nodes
    pods = view.observed.of_attempt(last.number)
    return amended(attempt, placing_time=last.placing_time and _last_move(last, last.placing_time, pods))


def searches_since(attempt: AttemptStatus, started: datetime, pods: Sequence[SeenPod]) -> datetime:
    """Return since when no pod of an attempt has found a node.

    While pods still get nodes, as when a queue or an autoscaler lets them in, the others may too.
    """
    if attempt.grace_seconds is not None:
        return _last_move(attempt, attempt.placing_time or started, pods)
    # An older CRD drops what it does not know, and no such attempt would ever be placed otherwise.
    return max([started, *_placed(pods), *(pod.created for pod in pods if pod.created is not None)])


def goes_on_searching(attempt: AttemptStatus) -> bool:
    """Tell whether an attempt looks for the same nodes as the one before it."""
    begun, started = attempt.placing_time, attempt.start_time
    return begun is not None and started is not None and begun < started


def _last_move(attempt: AttemptStatus, since: datetime, pods: Sequence[SeenPod]) -> datetime:
    """That pods find again the nodes of those that they replace is no move."""
    placed = _placed(pods)
    if attempt.start_time is not None and goes_on_searching(attempt):
        placed = [one for one in placed if one > attempt.start_time + timedelta(seconds=AGAIN)]
    return max([since, *placed])


def _placed(pods: Sequence[SeenPod]) -> list[datetime]:
    return [pod.placed for pod in pods if pod.node is not None and pod.placed is not None]


def _in_vain(attempt: AttemptStatus) -> bool:
    return attempt.outcome is AttemptOutcome.CANCELLED and attempt.running_time is None
