"""What is in the way of a job's children: names that others hold, and answers of the API server."""

from finetune_api.names import (
    config_map_name,
    network_policy_name,
    output_claim_name,
    prepare_pod_name,
    service_name,
    training_pod_name,
)
from finetune_api.reasons import ConditionType
from finetune_api.status import condition_of
from finetune_operator.observed import Refusal
from finetune_operator.view import View

_FOREIGN_RETRY = 30.0
"""Seconds between looks at a name that another object holds."""


def obstacles(view: View) -> View:
    """Report what is in the way and wait; when nothing is any more, say so."""
    names = _names(view)
    foreign = next((child for child in view.observed.foreign if (child.kind, child.name) in names), None)
    if foreign is not None:
        view = view.say(ConditionType.STALLED, "ChildForeign", kind=foreign.kind, name=foreign.name)
        return view.again_after(_FOREIGN_RETRY).stop()
    fresh = [one for one in view.observed.refusals if view.since(one.at) < view.settings.timing.refusal_retry]
    if fresh:
        return _refused(view, fresh[0])
    stalled = condition_of(view.status.conditions, ConditionType.STALLED)
    if stalled is not None and stalled.status == "True":
        return view.say(ConditionType.STALLED, "NotStalled")
    return view


def _refused(view: View, refusal: Refusal) -> View:
    facts = {"kind": refusal.kind, "name": refusal.name, "message": refusal.message}
    if refusal.is_quota:
        preparing = refusal.name == prepare_pod_name(view.job.name)
        condition = ConditionType.DATASET_PREPARED if preparing else ConditionType.RUNNING
        view = view.say(condition, "QuotaExceeded", **facts)
    else:
        view = view.say(ConditionType.STALLED, "ChildRefused", **facts)
    return view.again_after(view.settings.timing.refusal_retry - view.since(refusal.at)).stop()


def _names(view: View) -> set[tuple[str, str]]:
    """What the job's children are, or will be, called."""
    job = view.job.name
    attempt = view.attempt.number if view.attempt else 0
    names = {("Pod", training_pod_name(job, attempt, rank)) for rank in range(view.spec.nodes)}
    names |= {("Service", service_name(job)), ("NetworkPolicy", network_policy_name(job))}
    names |= {("ConfigMap", config_map_name(job)), ("Pod", prepare_pod_name(job))}
    return names | ({("PersistentVolumeClaim", output_claim_name(job))} if view.spec.output.volume is None else set())
