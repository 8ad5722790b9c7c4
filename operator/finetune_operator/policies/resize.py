"""`spec.nodes` of an elastic job: a running attempt saves and leaves, and the next one has the new number."""

from finetune_api.reasons import AttemptOutcome, ConditionType
from finetune_api.status import AttemptStatus
from finetune_operator.attempts import RESIZED, RESIZING
from finetune_operator.policies.elastic import next_nodes
from finetune_operator.policies.ending import end_attempt
from finetune_operator.policies.launch import begin
from finetune_operator.policies.progress import noted_progress
from finetune_operator.policies.restart import decisive, settle
from finetune_operator.view import View, amended, deletion_of


def resize(view: View) -> View:
    """Empty an attempt with another number of nodes than is wanted now; the intention is recorded first."""
    attempt = view.attempt
    if attempt is None or attempt.outcome is not None:
        return view
    if _comes_to_nothing(view, attempt):
        attempt = amended(attempt, wanted_nodes=view.spec.nodes)
        view = view.with_attempt(attempt)
    if attempt.reason != RESIZING and not _due(view, attempt):
        return view
    verdict = decisive(view)
    if verdict is not None:
        return settle(view, verdict)
    if attempt.reason != RESIZING:
        view = view.say(ConditionType.RUNNING, RESIZING, attempt=attempt.number, nodes=next_nodes(view))
        return view.with_attempt(amended(attempt, reason=RESIZING)).again_after(0).stop()
    alive = [pod for pod in view.observed.of_attempt(attempt.number) if not pod.terminal]
    working = [pod for pod in alive if not view.observed.lost(pod)]
    if working:
        # Every rank is alive, so each has its full grace to save.
        return view.deleting([deletion_of(pod) for pod in alive if not pod.deleting]).stop()
    return _resized(view, attempt)


def _comes_to_nothing(view: View, attempt: AttemptStatus) -> bool:
    """Whether `spec.nodes` was changed to what comes to the same number of nodes: only the next change is news then."""
    if view.spec.elastic is None or attempt.wanted_nodes == view.spec.nodes:
        return False
    begun_by_older_operator = attempt.wanted_nodes is None
    return begun_by_older_operator or (attempt.reason is None and next_nodes(view) == attempt.nodes)


def _due(view: View, attempt: AttemptStatus) -> bool:
    """Whether `spec.nodes` was changed since the attempt was decided, and that comes to another number of nodes.

    An attempt that is smaller than was wanted is not restarted for that: it grows at its next restart.
    """
    if view.spec.elastic is None or attempt.reason is not None or attempt.wanted_nodes == view.spec.nodes:
        return False
    return next_nodes(view) != attempt.nodes


def _resized(view: View, attempt: AttemptStatus) -> View:
    view, _ = noted_progress(view, attempt, view.observed.of_attempt(attempt.number))
    view = end_attempt(view, AttemptOutcome.CANCELLED, RESIZED, f"spec.nodes is {view.spec.nodes} now.")
    return begin(view).again_after(0).stop()
