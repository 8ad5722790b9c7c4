"""Bounds on how long a job may run, and how long its pods may wait."""

from datetime import datetime

from finetune_operator.policies.ending import fail
from finetune_operator.policies.waiting import wait_of
from finetune_operator.seen_pod import SeenPod
from finetune_operator.view import View


def deadlines(view: View) -> View:
    """Fail a job whose time is up; otherwise look again when it would be."""
    view = _active(view)
    return view if view.done else _pending(view)


def _active(view: View) -> View:
    """The running time of all attempts counts, not the time in queues."""
    limit, attempt = view.spec.run_policy.active_deadline_seconds, view.attempt
    if limit is None or attempt is None or attempt.running_time is None or attempt.outcome is not None:
        return view
    left = limit - view.status.active_seconds - view.since(attempt.running_time)
    if left <= 0:
        return fail(view, "DeadlineExceeded", field="activeDeadlineSeconds", seconds=limit, message="")
    return view.again_after(left)


def _pending(view: View) -> View:
    limit, pods = view.spec.run_policy.pending_deadline_seconds, _waiting(view)
    if limit is None or not pods:
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
    return [(pod, pod.created) for pod in waiting if pod.created is not None]
