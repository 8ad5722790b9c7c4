"""`runPolicy.suspend`: pods save a checkpoint and leave, and the job waits until it is to go on."""

from finetune_api.reasons import AttemptOutcome, ConditionType
from finetune_api.status import condition_of, is_true
from finetune_operator.attempts import SUSPENDING
from finetune_operator.policies.ending import end_attempt
from finetune_operator.policies.obstacles import unstalled
from finetune_operator.policies.prepare import RETRYING, is_retrying, noted_end, prepare
from finetune_operator.policies.progress import noted_progress
from finetune_operator.policies.removal import removal
from finetune_operator.policies.restart import decisive, settle
from finetune_operator.seen_pod import SeenPod
from finetune_operator.view import View, amended, deletion_of


def suspend(view: View) -> View:
    """Empty a suspended job of its pods; its intention is recorded before the first pod is asked to leave."""
    condition = condition_of(view.status.conditions, ConditionType.SUSPENDED)
    if not view.spec.run_policy.suspend:
        leaving = condition is not None and condition.reason != "Resumed"
        return _resumed(view) if leaving else view
    verdict = decisive(view)
    if verdict is not None:
        return settle(view, verdict)
    view = _judged(view)
    if view.done:
        return view
    pods = [pod for pod in _pods(view) if not pod.gone]
    if all(_beyond_reach(view, pod) for pod in pods):
        return _removing(_suspended(view), pods)
    if condition is None or condition.reason != SUSPENDING or not _intended(view):
        return _intend(view).again_after(0).stop()
    return _drain(view, pods)


def _judged(view: View) -> View:
    """Take in what the pod that prepares has said before it is deleted; that it left as it was asked says nothing."""
    pod = view.observed.prepare_pod
    if pod is None or not pod.terminal or (is_retrying(view) and not pod.succeeded):
        return view
    judged = prepare(view)
    return view if judged.status.prepare_disruptions != view.status.prepare_disruptions else judged


def _pods(view: View) -> list[SeenPod]:
    prepare = view.observed.prepare_pod
    return [*view.observed.pods, *([prepare] if prepare else [])]


def _intended(view: View) -> bool:
    attempt = view.attempt
    return attempt is None or attempt.reason is not None


def _intend(view: View) -> View:
    view = view.say(ConditionType.SUSPENDED, SUSPENDING)
    attempt = view.attempt
    return view if attempt is None or _intended(view) else view.with_attempt(amended(attempt, reason=SUSPENDING))


def _drain(view: View, pods: list[SeenPod]) -> View:
    """Every rank is alive, so each has its full grace to save; terminal pods go once the outcome is recorded."""
    ended = view.attempt is None or view.attempt.outcome is not None
    alive = [pod for pod in pods if not pod.terminal]
    if all(view.observed.lost(pod) for pod in alive) and not ended:
        return _end(view).again_after(0).stop()
    leaving = pods if ended else alive
    return view.deleting([deletion_of(pod) for pod in leaving if not pod.deleting]).stop()


def _beyond_reach(view: View, pod: SeenPod) -> bool:
    """Whether all is done about a pod that can be while its node does not answer."""
    return view.observed.lost(pod) and pod.deleting


def _removing(view: View, pods: list[SeenPod]) -> View:
    """What was on a node that will never come back goes once the end is recorded."""
    recorded = view.recorded.attempts[-1] if view.recorded.attempts else None
    if recorded is not None and recorded.outcome is None:
        return view.again_after(0)
    return view.deleting([deletion for pod in pods if (deletion := removal(view, pod))])


def _end(view: View) -> View:
    if view.attempt is not None and view.attempt.outcome is None:
        view, _ = noted_progress(view, view.attempt, view.observed.of_attempt(view.attempt.number))
    return end_attempt(view, AttemptOutcome.SUSPENDED, "Suspended", "Suspended by runPolicy.suspend.")


def _resumed(view: View) -> View:
    reconciling = condition_of(view.status.conditions, ConditionType.RECONCILING)
    if reconciling is not None and reconciling.reason == "Suspended":
        view = view.say(ConditionType.RECONCILING, "Preparing")
    return _going_on(view).say(ConditionType.SUSPENDED, "Resumed")


def _going_on(view: View) -> View:
    """An attempt of which no pod was asked to leave yet goes on as if nothing had been intended."""
    attempt = view.attempt
    if attempt is None or attempt.outcome is not None or attempt.reason != SUSPENDING:
        return view
    pods = view.observed.of_attempt(attempt.number)
    left = any(pod.deleting or pod.gone for pod in pods) or (attempt.running_time and len(pods) < attempt.nodes)
    return view if left else view.with_attempt(amended(attempt, reason=None))


def _put_off(view: View) -> View:
    """The pod that was preparing left because it was asked to, which is no disruption."""
    preparing = condition_of(view.status.conditions, ConditionType.DATASET_PREPARED)
    if preparing is None or preparing.status == "True" or preparing.reason == RETRYING:
        return view
    return noted_end(view).say(ConditionType.DATASET_PREPARED, RETRYING, message="the job was suspended meanwhile.")


def _suspended(view: View) -> View:
    view = unstalled(_put_off(_end(view))).say(ConditionType.SUSPENDED, "Suspended")
    if is_true(view.status.conditions, ConditionType.RECONCILING):
        # Nothing is being done, and tools that wait for the end of it would wait for ever.
        view = view.say(ConditionType.RECONCILING, "Suspended")
    running = condition_of(view.status.conditions, ConditionType.RUNNING)
    return (view.say(ConditionType.RUNNING, "Stopped") if running else view).stop()
