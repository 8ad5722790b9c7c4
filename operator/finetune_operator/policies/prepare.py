"""The prepare pod: data is prepared once, before any training pod exists."""

from datetime import datetime, timedelta

from finetune_api.causes import USER_OUTCOMES
from finetune_api.names import prepare_pod_name
from finetune_api.outcomes import Outcome, TerminationMessage, outcome_of_exit
from finetune_api.reasons import ConditionType
from finetune_api.status import DatasetStatus, FailureStatus, condition_of, is_true
from finetune_operator.children.prepare_pod import build_prepare_pod
from finetune_operator.dataset_report import dataset_of
from finetune_operator.policies.backoff import backoff
from finetune_operator.policies.ending import complete, fail, found_complete
from finetune_operator.policies.removal import removal, until_late
from finetune_operator.policies.waiting import say_waiting
from finetune_operator.seen_pod import SeenPod
from finetune_operator.view import View, deletion_of

RETRYING = "Retrying"


def prepare(view: View) -> View:
    """Let training wait until the data is prepared; the failure of a pod is recorded before it is replaced."""
    if view.plans.inline:
        return _told(view)
    if is_true(view.status.conditions, ConditionType.DATASET_PREPARED):
        return view
    pod = _pod(view)
    if pod is not None and pod.succeeded:
        return _succeeded(view, pod)
    if is_retrying(view):
        return _replace(view, pod)
    if pod is None:
        return _create(view)
    if pod.terminal or view.observed.lost(pod):
        return _failed(view, pod)
    return say_waiting(view, ConditionType.DATASET_PREPARED, [pod], "Preparing", complete=True, pod=pod.name).stop()


def _pod(view: View) -> SeenPod | None:
    """The pod that prepares. What is remembered of one that is gone is no news once its end is recorded.

    But one that was given up, as its node did not answer, may have done its work all the same.
    """
    pod = view.observed.prepare_pod
    if pod is not None and pod.gone and not pod.succeeded and pod.uid == view.status.prepare_ended_uid:
        return None
    return pod


def _succeeded(view: View, pod: SeenPod) -> View:
    view = _prepared(view, dataset_of(pod.told)).say(ConditionType.RECONCILING, "Accepted")
    return complete(view, pod, _words(pod).message) if found_complete(pod) else view


def _create(view: View) -> View:
    if view.blocked:
        return view.stop()
    pod = prepare_pod_name(view.job.name)
    view = say_waiting(view, ConditionType.DATASET_PREPARED, (), "Preparing", complete=False, pod=pod)
    return view.creating(build_prepare_pod(view.plans)).stop()


def _told(view: View) -> View:
    """Rank 0 prepares the data and tells about it in its progress."""
    dataset = view.observed.dataset
    return _prepared(view, dataset) if dataset and dataset != view.status.dataset else view


def _prepared(view: View, dataset: DatasetStatus | None) -> View:
    known = dataset or DatasetStatus()
    facts = {key: "?" if (value := getattr(known, key)) is None else value for key in ("rows", "tokens", "dropped")}
    return view.report(dataset=dataset).say(ConditionType.DATASET_PREPARED, "Prepared", **facts)


def noted_end(view: View) -> View:
    """Record of which pod that prepares the end is known: its successor has its name, and may be long in coming."""
    pod = view.observed.prepare_pod
    return view.report(prepare_ended_uid=pod.uid) if pod is not None and pod.uid else view


def is_retrying(view: View) -> bool:
    """Whether the pod that prepares is to make way for another."""
    condition = condition_of(view.status.conditions, ConditionType.DATASET_PREPARED)
    return condition is not None and condition.reason == RETRYING


def _failed(view: View, pod: SeenPod) -> View:
    said = _words(pod)
    cause = FailureStatus(
        reason=said.reason,
        pod=pod.name,
        node=pod.node,
        exit_code=pod.exit_code,
        message=said.message,
        traceback=said.traceback,
    )
    if said.outcome in USER_OUTCOMES:
        view = view.say(ConditionType.DATASET_PREPARED, "PreparationFailed", message=said.message)
        return fail(view, said.outcome, cause, message=said.message)
    if pod.removed or pod.rejected or view.observed.lost(pod):
        return _disrupted(view, cause)
    restarts = view.status.restarts
    if restarts >= view.spec.run_policy.max_restarts:
        view = view.say(ConditionType.DATASET_PREPARED, "PreparationFailed", message=said.message)
        return fail(view, "RestartsExhausted", cause, restarts=restarts, message=said.message)
    return _retrying(view.report(restarts=restarts + 1, failure=cause), said.message)


def _disrupted(view: View, cause: FailureStatus) -> View:
    """What the cluster did takes nothing from the budget, but may not go on for ever."""
    count = view.status.prepare_disruptions + 1
    view = view.report(prepare_disruptions=count, failure=cause)
    if count >= view.settings.fruitless_disruptions:
        view = view.say(ConditionType.DATASET_PREPARED, "PreparationFailed", message=cause.message)
        return fail(view, "PreparationDisrupted", cause, count=count, message=cause.message)
    return _retrying(view, cause.message)


def _retrying(view: View, message: str) -> View:
    view = noted_end(view).report(prepare_retry_time=view.now)
    return view.say(ConditionType.DATASET_PREPARED, RETRYING, message=message).again_after(0).stop()


def next_try(view: View) -> datetime | None:
    """Return when the pod that prepares is to be made anew; None when there was none, or nobody knows."""
    since, tries = view.status.prepare_retry_time, view.status.restarts + view.status.prepare_disruptions
    return since and since + timedelta(seconds=backoff(tries, view.settings.timing))


def _replace(view: View, pod: SeenPod | None) -> View:
    if pod is not None and not pod.gone:
        return _removing(view, pod).stop()
    left = _pause_left(view)
    return view.again_after(left).stop() if left > 0 else _create(view)


def _pause_left(view: View) -> float:
    """Return the seconds until the next try; none when the last one lies ahead, by the clock of an earlier leader."""
    ended, due = view.status.prepare_retry_time, next_try(view)
    return 0.0 if ended is None or due is None or ended > view.now else -view.since(due)


def _removing(view: View, pod: SeenPod) -> View:
    """Remove a pod, by force where its node may never confirm its end.

    The next one bears its name and may need its volumes. An old one that still runs harms nothing: what it prepares
    is put in place once, by whoever is first, and what it fetches lies apart.
    """
    deletion = removal(view, pod)
    asked = [deletion] if deletion else []
    if not view.observed.lost(pod) or any(one.grace == 0 for one in asked):
        return view.deleting(asked)
    left = until_late(view, pod)
    if left <= 0:
        return view.deleting([deletion_of(pod, grace=0)])
    return _stuck(view, pod).deleting(asked).again_after(left)


def _stuck(view: View, pod: SeenPod) -> View:
    where = f"node {pod.node}" if pod.node else "its node"
    message = f"{where} does not answer, and pod {pod.name} is removed by force when it has not for 30 s more."
    return view.say(ConditionType.DATASET_PREPARED, RETRYING, message=message)


def _words(pod: SeenPod) -> TerminationMessage:
    if pod.message is not None:
        return pod.message
    outcome = outcome_of_exit(pod.exit_code) if pod.exit_code else Outcome.CRASHED
    text = f"Pod {pod.name} left with exit code {pod.exit_code} and no explanation; see its log."
    if pod.exit_code is None:
        text = f"Pod {pod.name} was taken away before it ended."
    return TerminationMessage(outcome=outcome, message=pod.note or text)
