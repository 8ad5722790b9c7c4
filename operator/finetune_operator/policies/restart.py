"""What follows the end of an attempt: completion, failure, or another attempt of all pods together."""

from typing import Final

from finetune_api.causes import Kind
from finetune_api.reasons import COUNTED, AttemptOutcome, ConditionType
from finetune_api.status import FailureStatus
from finetune_operator.attempts import SUPERSEDED, SUSPENDING, Verdict, judge
from finetune_operator.facts import claimed_attempt_of
from finetune_operator.policies.avoidance import nodes_to_avoid
from finetune_operator.policies.ending import (
    DISRUPTIONS,
    complete,
    disruptions_allowed,
    end_attempt,
    fail,
    fruitless_disruptions,
)
from finetune_operator.policies.launch import begin
from finetune_operator.policies.progress import stepped_in
from finetune_operator.view import View, amended

_OWN: Final = frozenset({AttemptOutcome.SUSPENDED, AttemptOutcome.CANCELLED})
"""Ends that are no failure of anything."""
_DECISIVE: Final = frozenset({AttemptOutcome.SUCCEEDED, AttemptOutcome.USER_FAILURE})
"""Ends that stand whatever the pods were asked."""


def decisive(view: View) -> Verdict | None:
    """Return the end of the newest attempt if it stands whatever was asked meanwhile."""
    attempt = view.attempt
    if attempt is None or attempt.outcome is not None:
        return None
    pods = view.observed.of_attempt(attempt.number)
    verdict = judge(pods, (), view.observed, attempt.nodes)
    if verdict is None or verdict.outcome in _DECISIVE:
        return verdict
    # What ends while its peers leave may have ended because of that.
    own = verdict.outcome in COUNTED and verdict.kind is not Kind.COMMUNICATION
    return verdict if own and not any(pod.removed for pod in pods) else None


def settle(view: View, verdict: Verdict) -> View:
    """Record how the newest attempt ended and what follows; pods are touched only once this is recorded."""
    if verdict.outcome is AttemptOutcome.SUCCEEDED:
        return complete(view, verdict.pod, verdict.message)
    asked = view.attempt is not None and view.attempt.reason == SUSPENDING
    outcome = AttemptOutcome.SUSPENDED if asked and verdict.outcome in DISRUPTIONS else verdict.outcome
    cause = _cause(view, verdict)
    view = end_attempt(view, outcome, verdict.reason, verdict.message)
    if outcome not in _OWN:
        view = view.report(failure=cause)
    if outcome is AttemptOutcome.USER_FAILURE:
        # The exit code's outcome is one of the table's reasons; a finer reason is kept in the failure.
        said = verdict.pod.message.outcome if verdict.pod.message else verdict.reason
        return fail(view, said, cause, message=verdict.message)
    if outcome in COUNTED:
        if view.status.restarts >= view.spec.run_policy.max_restarts:
            return fail(view, "RestartsExhausted", cause, restarts=view.status.restarts, message=verdict.message)
        view = view.report(restarts=view.status.restarts + 1)
    fruitless = fruitless_disruptions(view)
    if outcome in DISRUPTIONS and fruitless >= disruptions_allowed(view):
        return fail(view, "NoProgress", cause, count=fruitless, message=verdict.message)
    return _again(view, verdict)


def _cause(view: View, verdict: Verdict) -> FailureStatus:
    """The cause, with the step that rank 0 last told of this attempt where the pod does not tell its own."""
    cause, attempt, progress = verdict.failure(view.plans.processes), view.attempt, view.status.progress
    fresh = attempt is not None and stepped_in(progress, attempt)
    return amended(cause, step=progress.step) if progress and cause.step is None and fresh else cause


def _again(view: View, verdict: Verdict) -> View:
    ended = view.attempt.number if view.attempt else 0
    view = view.say(ConditionType.RUNNING, "Restarting", attempt=ended, message=verdict.message)
    avoided = nodes_to_avoid(view, verdict)
    return begin(view, avoided=avoided, claimed=_claimed(view, verdict)).again_after(0).stop()


def _claimed(view: View, verdict: Verdict) -> int:
    """The newest attempt that has claimed the output: a job restored without its status counts from 0 again."""
    if verdict.reason != SUPERSEDED or verdict.pod.attempt is None:
        return -1
    pods = view.observed.of_attempt(verdict.pod.attempt)
    return max((claimed_attempt_of(pod.told) or 0 for pod in pods), default=-1)
