"""How attempts and jobs end in the status; terminal is terminal."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from finetune_api.reasons import ALREADY_COMPLETE, AttemptOutcome, ConditionType
from finetune_api.status import ATTEMPTS_KEPT, AttemptStatus, FailureStatus, OutputsStatus
from finetune_operator.attempts import RESIZED, UNPLACEABLE
from finetune_operator.children.volumes import OUTPUT
from finetune_operator.policies.patience import taking_over
from finetune_operator.policies.progress import own_progress
from finetune_operator.seen_pod import SeenPod
from finetune_operator.view import View, amended

DISRUPTIONS: Final = frozenset({AttemptOutcome.DISRUPTION, AttemptOutcome.NODE_LOSS})
"""What leaves the budget untouched, but may not go on for ever."""


def end_attempt(view: View, outcome: AttemptOutcome, reason: str, message: str) -> View:
    """Close the newest attempt, if it is open, and count its running time."""
    attempt = view.attempt
    if attempt is None or attempt.outcome is not None:
        return view
    progress = own_progress(view)
    ran = ran_for(view, attempt)
    over = amended(
        attempt,
        end_time=view.now,
        outcome=outcome,
        reason=reason,
        message=message,
        last_step=progress.step if progress else None,
        checkpoint_step=progress.last_checkpoint_step if progress else None,
    )
    return view.with_attempt(over).report(active_seconds=view.status.active_seconds + ran)


def ran_for(view: View, attempt: AttemptStatus) -> int:
    """Return the seconds for which all pods of an attempt ran.

    The time in which nobody saw that they had ended is no running time.
    """
    if attempt.running_time is None:
        return 0
    until = min(view.now, last_end(view, attempt) or view.now)
    return max(0, (until - attempt.running_time) // timedelta(seconds=1))


def last_end(view: View, attempt: AttemptStatus) -> datetime | None:
    """Return when the last pod of an attempt ended; None while one may run, and where nobody can tell.

    The clock of a node by which that was before all of them ran is not believed.
    """
    pods = view.observed.of_attempt(attempt.number)
    ends = [pod.finished for pod in pods if pod.finished is not None]
    if not ends or not all(pod.terminal for pod in pods):
        return None
    return max(ends) if attempt.running_time is None or max(ends) >= attempt.running_time else None


def advanced(attempt: AttemptStatus) -> bool:
    """Whether an attempt has left a newer checkpoint than the one it started from."""
    return attempt.checkpoint_step is not None and attempt.checkpoint_step > (attempt.first_step or 0)


def given_up(attempt: AttemptStatus) -> bool:
    """Whether the operator itself ended an attempt for another number of nodes; a pod may say the same words."""
    return attempt.outcome is AttemptOutcome.CANCELLED and attempt.reason in (RESIZED, UNPLACEABLE)


def fruitless_attempts(view: View) -> int:
    """Count the newest attempts in a row that ended without a new checkpoint, however long ago they began."""
    return _fruitless(view.status.earlier_fruitless or 0, view.status.attempts)


def fruitless_disruptions(view: View) -> int:
    """Count the newest disruptions in a row without a new checkpoint, however long ago they began."""
    return _disruptions(view.status.earlier_disruptions or 0, view.status.attempts)


def disruptions_allowed(view: View) -> int:
    """Return how many there may be: no more than are listed where a CRD older than the operator drops their count."""
    allowed = view.settings.fruitless_disruptions
    return min(allowed, ATTEMPTS_KEPT) if view.status.earlier_disruptions is None else allowed


def with_another(view: View, attempt: AttemptStatus) -> View:
    """Add an attempt; of the one that is no longer listed for it, what counts later is kept."""
    attempts = (*view.status.attempts, taking_over(view, attempt))
    dropped, status = attempts[:-ATTEMPTS_KEPT], view.status
    return view.report(
        attempts=attempts[-ATTEMPTS_KEPT:],
        earlier_disruptions=_disruptions(status.earlier_disruptions or 0, dropped),
        earlier_fruitless=_fruitless(status.earlier_fruitless or 0, dropped),
    )


def _fruitless(count: int, attempts: Sequence[AttemptStatus]) -> int:
    """Those that were given up for want of room, or for another number of nodes, say nothing."""
    for attempt in attempts:
        if advanced(attempt):
            count = 0
        else:
            count += attempt.outcome is not None and not given_up(attempt)
    return count


def _disruptions(count: int, attempts: Sequence[AttemptStatus]) -> int:
    """Pods that waited in vain for a peer are no disruption: how long a job may be pending is its own to say."""
    for attempt in attempts:
        silent = attempt.outcome in (None, AttemptOutcome.CANCELLED)
        if advanced(attempt) or not (silent or attempt.outcome in DISRUPTIONS):
            count = 0
        elif not silent:
            count += 1
    return count


def complete(view: View, pod: SeenPod, message: str) -> View:
    """End the job well, through what `pod` says; a finished run that it found in the output counts as this one."""
    view = end_attempt(view, AttemptOutcome.SUCCEEDED, "Succeeded", message)
    told = pod.message
    step = told.step if told and told.step is not None else (view.status.progress and view.status.progress.step)
    reason = ALREADY_COMPLETE if found_complete(pod) else "Succeeded"
    view = view.say(ConditionType.COMPLETE, reason, step="?" if step is None else step)
    return _over(view).report(outputs=_outputs(view), failure=None)


def found_complete(pod: SeenPod) -> bool:
    """Whether a pod that ended well found that the run had finished before it began."""
    return pod.succeeded and pod.own_reason == ALREADY_COMPLETE


def _outputs(view: View) -> OutputsStatus:
    checkpoints = view.plans.config.save_folder or f"{OUTPUT}/checkpoints"
    return OutputsStatus(model=f"{OUTPUT}/model", checkpoint=checkpoints, report=f"{OUTPUT}/report.html")


def fail(view: View, reason: str, cause: FailureStatus | None = None, **facts: object) -> View:
    """End the job badly; an attempt that still runs is cancelled."""
    view = view.say(ConditionType.FAILED, reason, **facts)
    message = next(one.message for one in view.status.conditions if one.type == ConditionType.FAILED)
    view = end_attempt(view, AttemptOutcome.CANCELLED, reason, message)
    view = view.say(ConditionType.STALLED, "JobFailed", message=message)
    return _over(view).report(failure=cause or FailureStatus(reason=reason, message=message))


def _over(view: View) -> View:
    view = view.forget(ConditionType.RECONCILING).report(completion_time=view.now)
    ran = any(one.type == ConditionType.RUNNING for one in view.status.conditions)
    view = view.say(ConditionType.RUNNING, "Stopped") if ran else view
    # Pods are cleaned up once the end is recorded.
    return replace(view, create=(), delete=()).again_after(0).stop()
