"""What is in the way of a job's children: names that others hold, and answers of the API server."""

from dataclasses import replace

from finetune_api.names import (
    config_map_name,
    network_policy_name,
    output_claim_name,
    pod_group_name,
    prepare_pod_name,
    service_name,
    training_pod_name,
)
from finetune_api.reasons import ConditionType
from finetune_api.status import JobStatus, condition_of
from finetune_operator.decision import Deletion
from finetune_operator.observed import Refusal, SeenChild
from finetune_operator.view import View

_FOREIGN = "ChildForeign"
_FOREIGN_RETRY = 5.0
"""Seconds between looks at a name that another object holds; often it goes with a deleted job of the same name."""
_RESULTS = "PersistentVolumeClaim"
"""Never deleted by the operator."""
_COLLECTED_WITHIN = 30.0
"""Seconds that Kubernetes has for what a deleted job of the same name has left."""


def obstacles(view: View) -> View:
    """Report what is in the way, and let nothing be created meanwhile; when nothing is any more, say so.

    What exists is followed all the same: it trains, fails, and is over.
    """
    names = _names(view)
    foreign = next((child for child in view.observed.foreign if (child.kind, child.name) in names), None)
    if foreign is not None:
        return _blocked(_collecting(_foreign(view, foreign)), _FOREIGN_RETRY)
    retry = view.settings.timing.refusal_retry
    standing = [one for one in view.observed.refusals if not view.observed.exists(one.kind, one.name)]
    fresh = next((one for one in standing if view.since(one.at) < retry), None)
    if fresh is not None:
        return _refused(view, fresh)
    # While a create is tried again, what its refusal made of the job stands, or it would flap with every retry.
    left = max((2 * retry - view.since(one.at) for one in standing), default=0.0)
    return view.again_after(left) if left > 0 else unstalled(view)


def _foreign(view: View, child: SeenChild) -> View:
    """Tell of a name that another object holds, as of the moment since when it is that which is in the way."""
    told = condition_of(view.recorded.conditions, ConditionType.STALLED)
    view = view if told is not None and told.reason == _FOREIGN else unstalled(view)
    return view.say(ConditionType.STALLED, _FOREIGN, kind=child.kind, name=child.name)


def _collecting(view: View) -> View:
    """Delete what an earlier job of this name has left behind.

    Kubernetes does that within seconds; but a job that is made again while the API server restarts can hide from its
    garbage collector that the old one is gone, and then nobody ever would.
    """
    told = condition_of(view.recorded.conditions, ConditionType.STALLED)
    if told is None or told.reason != _FOREIGN or view.since(told.last_transition_time) < _COLLECTED_WITHIN:
        return view
    left = [child for child in view.observed.foreign if child.orphaned and not child.deleting]
    return view.deleting([Deletion(one.kind, one.name, one.uid) for one in left if one.kind != _RESULTS])


def refused(status: JobStatus) -> bool:
    """Tell whether the status speaks of a create that the API server refused."""
    return any(one.reason in ("ChildRefused", "QuotaExceeded") for one in status.conditions)


def unstalled(view: View) -> View:
    """Say that nothing is in the way."""
    stalled = condition_of(view.status.conditions, ConditionType.STALLED)
    moving = stalled is None or stalled.status != "True"
    return view if moving else view.say(ConditionType.STALLED, "NotStalled")


def _refused(view: View, refusal: Refusal) -> View:
    facts = {"kind": refusal.kind, "name": refusal.name, "message": refusal.message}
    if refusal.is_quota:
        preparing = refusal.name == prepare_pod_name(view.job.name)
        condition = ConditionType.DATASET_PREPARED if preparing else ConditionType.RUNNING
        view = view.say(condition, "QuotaExceeded", **facts)
    else:
        view = view.say(ConditionType.STALLED, "ChildRefused", **facts)
    return _blocked(view, view.settings.timing.refusal_retry - view.since(refusal.at))


def _blocked(view: View, seconds: float) -> View:
    return replace(view.again_after(seconds), blocked=True)


def _names(view: View) -> set[tuple[str, str]]:
    """What the job's children are, or will be, called."""
    job = view.job.name
    attempt, nodes = (view.attempt.number, view.attempt.nodes) if view.attempt else (0, view.spec.nodes)
    names = {("Pod", training_pod_name(job, attempt, rank)) for rank in range(nodes)}
    names |= {("Service", service_name(job)), ("NetworkPolicy", network_policy_name(job))}
    names |= {("ConfigMap", config_map_name(job)), ("Pod", prepare_pod_name(job))}
    names |= {("PodGroup", pod_group_name(job, attempt))}
    return names | ({("PersistentVolumeClaim", output_claim_name(job))} if view.spec.output.volume is None else set())
