"""Bounds on how long a job may run, and how long its pods may wait."""

from datetime import datetime, timedelta

from finetune_api.job.policies import RunPolicy
from finetune_api.reasons import ConditionType
from finetune_api.status import AttemptStatus, condition_of, decisive_condition, is_true
from finetune_operator.policies.backoff import pause
from finetune_operator.policies.ending import fail, last_end, ran_for
from finetune_operator.policies.launch import in_the_way
from finetune_operator.policies.patience import waits_since
from finetune_operator.policies.prepare import is_retrying, next_try
from finetune_operator.policies.restart import decisive
from finetune_operator.policies.waiting import wait_of
from finetune_operator.seen_pod import SeenPod
from finetune_operator.view import View


def deadlines(view: View) -> View:
    """Fail a job whose time is up; otherwise look again when it would be.

    What pods have told of their end comes first, or how a job ends would depend on when somebody looks.
    """
    if decisive(view) is not None or _prepare_ended(view):
        return view
    view = _active(view)
    view = view if view.done else _pending(view)
    since = None if view.done else _unmade(view)
    return view if since is None else pending_since(view, since, view.spec.run_policy)


def pending_since(view: View, since: datetime, policy: RunPolicy) -> View:
    """Fail a job whose pods could not be created for too long; its conditions say why."""
    limit = policy.pending_deadline_seconds
    if limit is None:
        return view
    left = limit - view.since(since)
    if left > 0:
        return view.again_after(left)
    why = decisive_condition(view.status.conditions)
    words = why.message if why else ""
    return fail(view, "DeadlineExceeded", field="pendingDeadlineSeconds", seconds=limit, message=words)


def _prepare_ended(view: View) -> bool:
    """Whether the end of the pod that prepares is still to be recorded."""
    pod = view.observed.prepare_pod
    if pod is None or is_true(view.status.conditions, ConditionType.DATASET_PREPARED):
        return False
    known = is_retrying(view) or pod.uid == view.status.prepare_ended_uid
    return pod.succeeded or (pod.terminal and not known)


def _unmade(view: View) -> datetime | None:
    """Since when pods should be there that are not; None when all are, or the job is suspended."""
    status, attempt = view.status, view.attempt
    if view.spec.run_policy.suspend or is_true(status.conditions, ConditionType.SUSPENDED):
        return None
    if attempt is None:
        return _unprepared(view)
    if attempt.outcome is not None:
        return None
    there = len(view.observed.of_attempt(attempt.number)) == attempt.nodes
    if there or attempt.running_time is not None:
        return None
    return waits_since(view.status.attempts) or _held_up_since(view, attempt)


def _held_up_since(view: View, attempt: AttemptStatus) -> datetime | None:
    """Since when an attempt would have had its turn, did pods of others not stay longer than their grace."""
    leaving = [pod.leaves for pod in in_the_way(view, attempt) if pod.leaves is not None]
    if not leaving:
        return None
    ends = [one.end_time for one in view.status.attempts if one.end_time is not None]
    wait = timedelta(seconds=pause(view))
    return max([min(leaving), *(end + wait for end in ends[-1:]), *_turns(view)])


def _unprepared(view: View) -> datetime | None:
    """Since when the pod that prepares should be there, or another in its place, or those that train after it."""
    pod, status = view.observed.prepare_pod, view.status
    if pod is not None and not pod.gone and not is_retrying(view):
        return None
    again = next_try(view)
    tried = status.restarts or status.prepare_disruptions
    if status.start_time is None or (tried and again is None):
        return None
    return max(moment for moment in (status.start_time, again, *_turns(view)) if moment)


def _turns(view: View) -> list[datetime]:
    """When the job was resumed and its data prepared, before which nothing of what follows could wait."""
    conditions = view.status.conditions
    suspended = condition_of(conditions, ConditionType.SUSPENDED)
    prepared = condition_of(conditions, ConditionType.DATASET_PREPARED)
    done = prepared if is_true(conditions, ConditionType.DATASET_PREPARED) else None
    return [one.last_transition_time for one in (suspended, done) if one is not None]


def _active(view: View) -> View:
    """The running time of all attempts counts, not the time in queues."""
    limit, attempt = view.spec.run_policy.active_deadline_seconds, view.attempt
    if limit is None or attempt is None or attempt.running_time is None or attempt.outcome is not None:
        return view
    left = limit - view.status.active_seconds - ran_for(view, attempt)
    if left > 0:
        return view.again_after(left)
    if _left_unseen(view, attempt):
        return view
    return fail(view, "DeadlineExceeded", field="activeDeadlineSeconds", seconds=limit, message="")


def _left_unseen(view: View, attempt: AttemptStatus) -> bool:
    """Whether pods that were asked to leave have done so while nobody looked, perhaps in time."""
    asked = view.spec.run_policy.suspend or attempt.reason is not None
    pods = view.observed.of_attempt(attempt.number)
    alive = any(not pod.terminal and not view.observed.lost(pod) for pod in pods)
    return asked and not alive and last_end(view, attempt) is None


def _pending(view: View) -> View:
    limit, pods = view.spec.run_policy.pending_deadline_seconds, _waiting(view)
    if limit is None or not pods or view.spec.run_policy.suspend:
        return view
    waited, pod = max(((view.since(created), pod) for pod, created in pods), key=lambda one: one[0])
    if waited < limit:
        return view.again_after(limit - waited)
    wait = wait_of(view, pod)
    words = f"Pod {pod.name}: {wait.message if wait else 'It has not started.'}"
    return fail(view, "DeadlineExceeded", field="pendingDeadlineSeconds", seconds=limit, message=words)


def _waiting(view: View) -> list[tuple[SeenPod, datetime]]:
    pods = view.observed.of_attempt(view.attempt.number) if view.attempt else ()
    prepare = view.observed.prepare_pod
    candidates = [*pods, prepare] if prepare else [*pods]
    waiting = (pod for pod in candidates if pod.phase == "Pending" and not pod.deleting and not pod.gone)
    known = waits_since(view.status.attempts)
    return [(pod, min(pod.created, known or pod.created)) for pod in waiting if pod.created is not None]
