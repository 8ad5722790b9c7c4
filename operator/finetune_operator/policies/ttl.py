"""What a finished job leaves behind, and for how long."""

from datetime import datetime

from finetune_api.job.policies import RunPolicy
from finetune_api.names import output_claim_name
from finetune_api.reasons import ConditionType, reason_of
from finetune_api.status import is_true
from finetune_operator.decision import Deletion, Event
from finetune_operator.view import View, deletion_of


def expire(view: View, policy: RunPolicy) -> View:
    """Delete the children of a job whose time after the end has passed, and the job itself if that was asked for."""
    ended = view.status.completion_time
    return view if ended is None else _expire_job(_expire_children(view, policy, ended), policy, ended)


def _expire_children(view: View, policy: RunPolicy, ended: datetime) -> View:
    ttl = policy.ttl_seconds_after_finished
    seconds = ttl.succeeded if is_true(view.status.conditions, ConditionType.COMPLETE) else ttl.failed
    if seconds is None:
        return view
    left = seconds - view.since(ended)
    if left > 0:
        return view.again_after(left)
    leftovers = _leftovers(view)
    if not leftovers:
        return view
    row = reason_of(None, "ChildrenDeleted")
    return view.deleting(leftovers).tell(Event(row.name, row.say(count=len(leftovers))))


def _expire_job(view: View, policy: RunPolicy, ended: datetime) -> View:
    seconds = policy.delete_job_after_seconds
    if seconds is None:
        return view
    left = seconds - view.since(ended)
    if left > 0:
        return view.again_after(left)
    row = reason_of(None, "JobDeleted")
    view = view.deleting([Deletion("FinetuneJob", view.job.name, view.job.uid)])
    return view.tell(Event(row.name, row.say(seconds=seconds)))


def _leftovers(view: View) -> list[Deletion]:
    """Everything but the results: pods, Service, ConfigMap, NetworkPolicy."""
    planned = {deletion.name for deletion in view.delete if deletion.kind == "Pod"}
    prepare = view.observed.prepare_pod
    pods = [pod for pod in (*view.observed.pods, *([prepare] if prepare else [])) if not pod.gone and not pod.deleting]
    claim = output_claim_name(view.job.name)
    children = [one for one in view.observed.children if not one.deleting and one.name != claim]
    return [
        *(deletion_of(pod) for pod in pods if pod.name not in planned),
        *(Deletion(child.kind, child.name, child.uid) for child in children),
    ]
