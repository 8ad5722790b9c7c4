"""Which nodes the next attempt keeps away from."""

from collections.abc import Sequence

from finetune_api.reasons import AttemptOutcome
from finetune_api.status import NODES_AVOIDED
from finetune_operator.attempts import Verdict
from finetune_operator.policies.ending import advanced
from finetune_operator.preflight import PREFLIGHT_FAILED, suspected
from finetune_operator.view import View


def nodes_to_avoid(view: View, verdict: Verdict | None = None) -> tuple[str, ...]:
    """Return the nodes that the attempt after the newest, which has ended with `verdict`, keeps away from.

    What was avoided stays so until an attempt has saved a new checkpoint: then it is old news.
    """
    last = view.attempt
    if last is None:
        return ()
    carried = () if advanced(last) else last.avoided_nodes or ()
    found = _found(view, verdict) if verdict is not None else ()
    return tuple(dict.fromkeys((*carried, *found)))[-NODES_AVOIDED:]


def _found(view: View, verdict: Verdict) -> Sequence[str]:
    pods = view.observed.of_attempt(verdict.pod.attempt if verdict.pod.attempt is not None else -1)
    if verdict.reason == PREFLIGHT_FAILED:
        return suspected(pods)
    if verdict.outcome is AttemptOutcome.NODE_LOSS and _lost_before(view):
        return [pod.node for pod in pods if pod.node and view.observed.lost(pod)]
    return ()


def _lost_before(view: View) -> bool:
    """Kubernetes places nothing on a node that is lost; one that comes back and is lost again is another matter."""
    before = view.status.attempts[-2] if len(view.status.attempts) > 1 else None
    last = view.attempt
    fruitless = last is not None and not advanced(last)
    return fruitless and before is not None and before.outcome is AttemptOutcome.NODE_LOSS
