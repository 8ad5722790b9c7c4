"""What follows the end of an attempt: completion, failure, or another attempt of all pods together."""

from typing import Final

from finetune_api.reasons import COUNTED, AttemptOutcome, ConditionType
from finetune_operator.attempts import SUSPENDING, Verdict
from finetune_operator.policies.ending import complete, end_attempt, fail, fruitless_attempts
from finetune_operator.policies.launch import begin
from finetune_operator.view import View

DISRUPTIONS: Final = frozenset({AttemptOutcome.DISRUPTION, AttemptOutcome.NODE_LOSS})
"""What leaves the budget untouched, but may not go on for ever."""


def settle(view: View, verdict: Verdict) -> View:
    """Record how the newest attempt ended and what follows; pods are touched only once this is recorded."""
    if verdict.outcome is AttemptOutcome.SUCCEEDED:
        return complete(view, verdict.pod, verdict.message)
    asked = view.attempt is not None and view.attempt.reason == SUSPENDING
    outcome = AttemptOutcome.SUSPENDED if asked and verdict.outcome in DISRUPTIONS else verdict.outcome
    view = end_attempt(view, outcome, verdict.reason, verdict.message)
    if outcome is AttemptOutcome.USER_FAILURE:
        # The exit code's outcome is one of the table's reasons; a finer reason is kept in the failure.
        said = verdict.pod.message.outcome if verdict.pod.message else verdict.reason
        return fail(view, said, verdict.failure(), message=verdict.message)
    if outcome in COUNTED:
        if view.status.restarts >= view.spec.run_policy.max_restarts:
            facts = {"restarts": view.status.restarts, "message": verdict.message}
            return fail(view, "RestartsExhausted", verdict.failure(), **facts)
        view = view.report(restarts=view.status.restarts + 1, failure=verdict.failure())
    fruitless = fruitless_attempts(view, only=DISRUPTIONS)
    if outcome in DISRUPTIONS and fruitless >= view.settings.fruitless_disruptions:
        return fail(view, "NoProgress", verdict.failure(), count=fruitless, message=verdict.message)
    return _again(view, verdict)


def _again(view: View, verdict: Verdict) -> View:
    ended = view.attempt.number if view.attempt else 0
    view = view.say(ConditionType.RUNNING, "Restarting", attempt=ended, message=verdict.message)
    return begin(view).again_after(0).stop()
