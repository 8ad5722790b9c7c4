"""Follows the newest attempt: from its first pod to its end."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from finetune_api.causes import Kind
from finetune_api.names import training_pod_name
from finetune_api.outcomes import Outcome
from finetune_api.reasons import ConditionType
from finetune_api.status import AttemptStatus, condition_of
from finetune_operator.attempts import Verdict, judge, missing_pod
from finetune_operator.policies.grace import grace_of, measured_grace
from finetune_operator.policies.launch import begin, launch
from finetune_operator.policies.placement import placement
from finetune_operator.policies.progress import noted_progress
from finetune_operator.policies.restart import settle
from finetune_operator.preflight import PREFLIGHT_FAILED
from finetune_operator.seen_pod import SeenPod
from finetune_operator.view import View, amended

_CLOCKS: Final = 60.0
"""Seconds by which the clocks of nodes may differ where nothing better is known."""
_FAR_APART: Final = 20.0
"""Seconds by which the pods of an attempt begin apart that have their image; a preflight takes no longer to fail."""
_UNMEASURED: Final = 30.0
"""Seconds that a save may take while none was measured."""


def attempt(view: View) -> View:
    """Begin the next attempt, launch it, follow it, or record its end."""
    if view.attempt is None or view.attempt.outcome is not None:
        if view.blocked:
            return view.stop()
        view = begin(view)
    newest = view.attempt
    assert newest is not None
    pods = view.observed.of_attempt(newest.number)
    view, newest = _noted(view, newest, pods)
    verdict = judge(pods, _missing(view, newest, pods), view.observed, newest.nodes)
    if verdict is not None:
        left = _patience(view, newest, verdict, pods)
        return _waiting(view, newest, left) if left > 0 else settle(view, verdict)
    if newest.running_time is None:
        view = placement(view, newest, pods)
        return view if view.done else launch(view, view.attempt or newest)
    return _training(view, newest).stop()


def _training(view: View, newest: AttemptStatus) -> View:
    """A run that does not tell how far it is may train all the same, so this is never a failure."""
    facts = {"attempt": newest.number, "nodes": newest.nodes}
    error = view.observed.progress_error
    if error is None and view.observed.progress is None and _unreachable(view):
        return view  # a new operator has yet to ask; the condition stands until it knows better
    if error is None:
        return view.say(ConditionType.RUNNING, "Training", **facts)
    pod = training_pod_name(view.job.name, newest.number, 0)
    return view.say(ConditionType.RUNNING, "ProgressUnreachable", pod=pod, message=error, **facts)


def _unreachable(view: View) -> bool:
    condition = condition_of(view.status.conditions, ConditionType.RUNNING)
    return condition is not None and condition.reason == "ProgressUnreachable"


def _noted(view: View, newest: AttemptStatus, pods: tuple[SeenPod, ...]) -> tuple[View, AttemptStatus]:
    """Note how far the run is, and when all pods ran."""
    view, newest = noted_progress(view, newest, pods)
    if len(pods) < newest.nodes:
        return view, newest
    if newest.running_time is None and all(pod.running or pod.succeeded for pod in pods):
        newest = amended(newest, running_time=view.now)
        view = view.report(running_time=view.status.running_time or view.now)
    return view.with_attempt(newest), newest


def _missing(view: View, newest: AttemptStatus, pods: tuple[SeenPod, ...]) -> list[SeenPod]:
    """The pods that were there, since all ran once, and left no trace."""
    if newest.running_time is None:
        return []
    present = {pod.rank for pod in pods}
    absent = (rank for rank in range(newest.nodes) if rank not in present)
    return [missing_pod(training_pod_name(view.job.name, newest.number, rank), newest.number, rank) for rank in absent]


def _patience(view: View, newest: AttemptStatus, verdict: Verdict, pods: tuple[SeenPod, ...]) -> float:
    """Seconds to wait for the others: an echo may be seen before its cause, and drained ranks save together."""
    if all(pod.terminal or view.observed.lost(pod) for pod in pods) or verdict.pod.finished is None:
        return 0.0
    windows = {Kind.COMMUNICATION: _echoing(view, verdict, pods), Kind.DRAINED: _saving(view, newest, pods)}
    window = windows.get(verdict.kind, 0)
    return window - _waited(view, newest, verdict.pod.finished, window)


def _echoing(view: View, verdict: Verdict, pods: Sequence[SeenPod]) -> float:
    """A connection that broke says least of all: its other end may be on a node that has just died.

    What a node found before the run, those that began later find as much later, if it is the same for all.
    """
    timing = view.settings.timing
    if verdict.reason == PREFLIGHT_FAILED:
        return timing.cause_window + _began_apart(verdict.pod, pods)
    return timing.dead_node_window if verdict.reason == Outcome.RETRYABLE else timing.cause_window


def _began_apart(first: SeenPod, pods: Sequence[SeenPod]) -> float:
    """Seconds from the start of one pod to that of the last, by clocks of which none is believed far."""
    starts = [pod.started for pod in pods if pod.started is not None]
    apart = (max(starts) - first.started).total_seconds() if first.started is not None else 0.0
    return min(apart, _FAR_APART)


def _waited(view: View, newest: AttemptStatus, finished: datetime, window: float) -> float:
    """By the operator's clock, as that of a node may be hours away; but an older CRD drops what it does not know."""
    if newest.ending_time is not None:
        return max(0.0, view.since(newest.ending_time))
    forgotten = newest.grace_seconds is None and abs(view.since(finished)) > window + _CLOCKS
    return window if forgotten else 0.0


def _saving(view: View, newest: AttemptStatus, pods: Sequence[SeenPod]) -> float:
    """How long the others may take to save; when none of them is asked to leave, one pod's word holds up little."""
    grace = grace_of(view, newest)
    leaving = sum(pod.terminal or pod.removed for pod in pods) > 1 or newest.reason is not None
    return grace if leaving else min(grace, measured_grace(view.status.progress) or _UNMEASURED)


def _waiting(view: View, newest: AttemptStatus, seconds: float) -> View:
    # By the clock of a leader before this one it may have been later than now.
    noticed = amended(newest, ending_time=min(newest.ending_time or view.now, view.now))
    return view.with_attempt(noticed).again_after(seconds).stop()
