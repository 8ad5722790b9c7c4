"""How long the pods of an attempt may take to save: as long as the job says, or longer where saves were seen to be."""

import math
from typing import Final

from finetune_api.status import LONGEST_GRACE, AttemptStatus, ProgressStatus
from finetune_operator.view import View

_MARGIN: Final = 10


def next_grace(view: View) -> int:
    """Return the grace of the next attempt, in seconds; it never gets shorter from one attempt to the next.

    A grace is only a bound: a pod that has saved leaves at once.
    """
    last = view.attempt
    before = last.grace_seconds or 0 if last else 0
    return max(view.spec.run_policy.grace_period_seconds, before, measured_grace(view.status.progress))


def measured_grace(progress: ProgressStatus | None) -> int:
    """Return what the saves of the last attempt ask for: twice the step in flight and the longest save, and a margin.

    0 while no save was measured.
    """
    if progress is None or progress.save_seconds is None:
        return 0
    return min(LONGEST_GRACE, math.ceil(2 * (progress.save_seconds + (progress.step_seconds or 0))) + _MARGIN)


def grace_of(view: View, attempt: AttemptStatus) -> int:
    """Return the grace that the pods of an attempt were created with."""
    own = attempt.grace_seconds
    return view.spec.run_policy.grace_period_seconds if own is None else own
