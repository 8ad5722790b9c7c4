"""How attempts and jobs end in the status; terminal is terminal."""

from dataclasses import replace

from finetune_api.reasons import AttemptOutcome, ConditionType
from finetune_api.status import AttemptStatus, FailureStatus, OutputsStatus
from finetune_operator.attempts import Verdict
from finetune_operator.children.volumes import OUTPUT
from finetune_operator.view import View, amended


def end_attempt(view: View, outcome: AttemptOutcome, reason: str, message: str) -> View:
    """Close the newest attempt, if it is open, and count its running time."""
    attempt = view.attempt
    if attempt is None or attempt.outcome is not None:
        return view
    progress = view.status.progress
    ran = int(view.since(attempt.running_time)) if attempt.running_time else 0
    over = amended(
        attempt,
        end_time=view.now,
        outcome=outcome,
        reason=reason,
        message=message,
        last_step=progress.step if progress else None,
        checkpoint_step=progress.last_checkpoint_step if progress else None,
    )
    return view.with_attempt(over).report(active_seconds=view.status.active_seconds + max(0, ran))


def advanced(attempt: AttemptStatus) -> bool:
    """Whether an attempt has left a newer checkpoint than the one it started from."""
    return attempt.checkpoint_step is not None and attempt.checkpoint_step > (attempt.first_step or 0)


def fruitless_attempts(view: View, *, only: frozenset[AttemptOutcome] | None = None) -> int:
    """Count the newest attempts in a row that ended without a new checkpoint, as one of `only` if that is given."""
    count = 0
    for attempt in reversed(view.status.attempts):
        if attempt.outcome is None:
            continue
        if advanced(attempt) or (only is not None and attempt.outcome not in only):
            break
        count += 1
    return count


def complete(view: View, verdict: Verdict) -> View:
    """End the job well."""
    view = end_attempt(view, AttemptOutcome.SUCCEEDED, verdict.reason, verdict.message)
    told = verdict.pod.message
    step = told.step if told and told.step is not None else (view.status.progress and view.status.progress.step)
    view = view.say(ConditionType.COMPLETE, "Succeeded", step="?" if step is None else step)
    outputs = OutputsStatus(model=f"{OUTPUT}/model", checkpoint=f"{OUTPUT}/checkpoints")
    return _over(view).report(outputs=outputs, failure=None)


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
