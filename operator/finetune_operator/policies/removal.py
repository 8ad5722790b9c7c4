"""How one pod is removed, once what it had to say is recorded."""

from typing import Final

from finetune_api.reasons import AttemptOutcome
from finetune_operator.decision import Deletion
from finetune_operator.observed import NodeState
from finetune_operator.seen_pod import SeenPod
from finetune_operator.view import View, deletion_of

_SAVING: Final = (AttemptOutcome.SUSPENDED, AttemptOutcome.CANCELLED)

_CONFIRMED_WITHIN: Final = 30.0
"""Seconds that a kubelet has for saying that a pod has ended whose grace is over."""


def until_late(view: View, pod: SeenPod) -> float:
    """Return the seconds after which its kubelet should have said that a pod has ended; 0 or less when it is late."""
    return _CONFIRMED_WITHIN - (view.since(pod.leaves) if pod.leaves else 0.0)


def removal(view: View, pod: SeenPod) -> Deletion | None:
    """A pod on a node that will never come back is removed by force, since no kubelet confirms its end."""
    if view.observed.lost(pod) and view.observed.node_state(pod) in (NodeState.GONE, NodeState.OUT_OF_SERVICE):
        return deletion_of(pod, grace=0)
    if pod.deleting:
        return None
    return deletion_of(pod, grace=_grace(view, pod))


def _grace(view: View, pod: SeenPod) -> int | None:
    """Survivors of a failure cannot finish a step, nor can those of an incomplete attempt; those of a drain save."""
    attempt = next((one for one in view.status.attempts if one.number == pod.attempt), None)
    saving = attempt is not None and attempt.outcome in _SAVING and attempt.running_time is not None
    return None if saving else view.settings.timing.survivor_grace
