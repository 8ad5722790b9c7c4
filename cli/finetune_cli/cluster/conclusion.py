"""What a job's end means for a script: exit codes, and when a wait is over."""

from dataclasses import dataclass
from typing import Final

from finetune_api.errors import ConfigInvalid, Problem
from finetune_api.outcomes import Outcome, exit_code
from finetune_api.reasons import ConditionType, State
from finetune_api.status import condition_of, is_true
from finetune_cli.cluster.job_view import DELETING, JobView

TIMED_OUT: Final = 124
"""As of timeout(1)."""
NO_ANSWER: Final = 69
"""Nothing could be learned from the cluster: EX_UNAVAILABLE of sysexits."""

_ALIKE: Final = {"SpecInvalid": Outcome.CONFIG_INVALID, "CodeChanged": Outcome.CONFIG_INVALID}
"""Reasons without an exit code of their own that stand for an outcome."""


@dataclass(frozen=True)
class Conclusion:
    """The end of a wait."""

    code: int
    sentence: str


def code_of(job: JobView) -> int:
    """Return the exit code that stands for how a job ended: that of its outcome; 1 when no outcome is known."""
    if job.complete:
        return 0
    failed = job.condition(ConditionType.FAILED)
    reasons = [failed.reason if failed else "", job.status.failure.reason if job.status.failure else ""]
    outcomes = [outcome for reason in reasons if (outcome := _outcome(reason)) is not None]
    return exit_code(outcomes[0]) if outcomes else exit_code(Outcome.CRASHED)


def _outcome(reason: str) -> Outcome | None:
    known = {outcome.value: outcome for outcome in Outcome if outcome is not Outcome.SUCCEEDED}
    return known.get(reason) or _ALIKE.get(reason)


def aim(word: str) -> str:
    """Return the condition or state that a user waits for, in whatever case it is written, as kubectl takes it.

    Raises ConfigInvalid with what there is to wait for.
    """
    known = {name.lower(): name for name in (*State, *ConditionType)}
    found = known.get(word.removeprefix("condition=").lower())
    if found is None:
        names = ", ".join(dict.fromkeys((*(kind.value for kind in ConditionType), *(state.value for state in State))))
        raise ConfigInvalid.of([Problem("--for", f"there is no condition or state {word}", f"known: {names}")])
    return str(found)


def reached(job: JobView, wanted: str) -> bool:
    """Tell whether the condition of this type is True, or the state is this one."""
    condition = condition_of(job.status.conditions, ConditionType(wanted)) if wanted in set(ConditionType) else None
    return job.state == wanted or (condition is not None and is_true((condition,), ConditionType(wanted)))


def conclude(job: JobView, wanted: str) -> Conclusion | None:
    """Return how a wait for `wanted` ends now, or None when it goes on; a job that is over changes no more."""
    if reached(job, wanted):
        return Conclusion(0, f"{job.name} is {wanted}" + (f": {job.sentence}" if job.state == wanted else ""))
    if job.over:
        said = f"{job.name} is {job.state}: {job.sentence}"
        never = "" if wanted in (State.COMPLETE, State.FAILED) else f"\nIt will not be {wanted} any more."
        return Conclusion(code_of(job) or 1, said + never)
    return None


def unfinished(job: JobView | None, name: str, wanted: str, seconds: float) -> Conclusion:
    """Return the end of a wait whose time is over."""
    state = f"{job.state}: {job.sentence}" if job and job.sentence else (job.state if job else DELETING)
    return Conclusion(TIMED_OUT, f"{name} is not {wanted} after {seconds:g} s; it is {state}")
