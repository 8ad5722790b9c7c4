"""An attempt whose pods do not all find a node: an elastic job goes on with fewer, and no job is stuck by avoidance."""

from collections.abc import Sequence
from typing import Final

from finetune_api.reasons import AttemptOutcome, ConditionType
from finetune_api.status import AttemptStatus
from finetune_operator.attempts import UNPLACEABLE
from finetune_operator.policies.avoidance import nodes_to_avoid
from finetune_operator.policies.elastic import fitting_nodes
from finetune_operator.policies.ending import end_attempt
from finetune_operator.policies.launch import begin
from finetune_operator.policies.patience import AGAIN, goes_on_searching, searches_since
from finetune_operator.seen_pod import SeenPod
from finetune_operator.view import View, amended

_ALL_OR_NONE: Final = ("Coscheduling", "Volcano")
"""Gangs of which no pod gets a node while not all do, so that those that did show nothing."""


def placement(view: View, attempt: AttemptStatus, pods: Sequence[SeenPod]) -> View:
    """Replace an attempt that cannot be placed as it is within the deadline, if it can be made smaller or freer."""
    held = [pod for pod in pods if _waits_for(pod, "Unschedulable")]
    queued = any(_waits_for(pod, "Queued") for pod in pods)
    view, attempt = _placing(view, attempt, pods, held=bool(held), queued=queued)
    if not held or queued or attempt.start_time is None:
        return view
    fewer = _fewer(view, attempt, pods)
    if fewer is None and not attempt.avoided_nodes:
        return view
    deadline, started = view.settings.timing.placement_deadline, attempt.start_time
    left = deadline - view.since(searches_since(attempt, started, pods))
    if goes_on_searching(attempt) and view.since(started) >= 0:
        left = max(left, min(AGAIN, deadline) - view.since(started))
    if left > 0:
        return view.again_after(left)
    return _replaced(view, attempt, held[0], fewer)


def _waits_for(pod: SeenPod, reason: str) -> bool:
    waits = pod.phase == "Pending" and not pod.deleting and not pod.gone
    return waits and pod.node is None and pod.wait is not None and pod.wait.reason == reason


def _placing(
    view: View, attempt: AttemptStatus, pods: Sequence[SeenPod], *, held: bool, queued: bool
) -> tuple[View, AttemptStatus]:
    """Note since when nothing but a node is missing: no condition of a pod tells when it left its queue.

    Until the scheduler has looked at all pods, what was known before them stands.
    """
    since = attempt.placing_time
    if queued or (len(pods) == attempt.nodes and all(pod.node is not None for pod in pods)):
        since = None
    elif held:
        since = min(since or view.now, view.now)  # the clock of another leader may have been ahead
    attempt = amended(attempt, placing_time=since)
    return view.with_attempt(attempt), attempt


def _fewer(view: View, attempt: AttemptStatus, pods: Sequence[SeenPod]) -> int | None:
    """The largest number of nodes that can be had, as far as the pods show it."""
    placed = sum(pod.node is not None and not pod.terminal and not view.observed.lost(pod) for pod in pods)
    most = attempt.nodes - 1 if view.spec.scheduling.gang in _ALL_OR_NONE else min(placed, attempt.nodes - 1)
    return fitting_nodes(view, most)


def _replaced(view: View, attempt: AttemptStatus, held: SeenPod, fewer: int | None) -> View:
    why = f" ({held.wait.message.rstrip('. ')})" if held.wait and held.wait.message else ""
    then = f"goes on with {fewer} of {attempt.wanted_nodes or attempt.nodes} nodes" if fewer else "avoids one node less"
    seconds = view.settings.timing.placement_deadline
    message = f"Pod {held.name} found no node within {seconds} s{why}; the next attempt {then}."
    view = end_attempt(view, AttemptOutcome.CANCELLED, UNPLACEABLE, message)
    assert view.attempt is not None
    # It never ran, so what is known of the run is what earlier attempts left.
    view = view.with_attempt(amended(view.attempt, last_step=None, checkpoint_step=None))
    view = view.say(ConditionType.RUNNING, "Restarting", attempt=attempt.number, message=message)
    # The last of them is the least suspicious: where two cannot talk, either may do without the other.
    avoided = nodes_to_avoid(view) if fewer else nodes_to_avoid(view)[:-1]
    return begin(view, nodes=fewer, avoided=avoided).again_after(0).stop()
