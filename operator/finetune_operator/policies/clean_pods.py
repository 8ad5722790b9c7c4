"""`runPolicy.cleanPods`: which pods of a finished job are deleted."""

from finetune_api.job.policies import RunPolicy
from finetune_operator.decision import Deletion
from finetune_operator.view import View, deletion_of


def clean_pods(view: View, policy: RunPolicy) -> list[Deletion]:
    """Return the pods to delete: those that still run, all, or none; what a deadline stops is stopped in any case."""
    if policy.clean_pods == "None" and not _cancelled(view):
        return []
    prepare = view.observed.prepare_pod
    pods = [pod for pod in (*view.observed.pods, *([prepare] if prepare else [])) if not pod.gone and not pod.deleting]
    return [deletion_of(pod, _grace(view)) for pod in pods if policy.clean_pods == "All" or not pod.terminal]


def _cancelled(view: View) -> bool:
    return view.attempt is not None and view.attempt.outcome == "Cancelled"


def _grace(view: View) -> int | None:
    """After a deadline every rank is alive and may save; after a failure none can."""
    last = view.attempt
    alive = last is None or last.outcome is None or _cancelled(view)
    return None if alive else view.settings.timing.survivor_grace
