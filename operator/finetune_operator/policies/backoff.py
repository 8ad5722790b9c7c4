"""How long a job waits before it tries again."""

from typing import Final

from finetune_operator.attempts import CLUSTER_UNREADY
from finetune_operator.policies.ending import fruitless_attempts
from finetune_operator.settings import TimingSettings
from finetune_operator.view import View

_UNREADY: Final = 4
"""Attempts for which one counts whose nodes all missed what they share: with the defaults, a cluster has six minutes to
get its name servers back, somewhat longer than Kubernetes takes to move them off a dead node."""


def pause(view: View) -> float:
    """Return the seconds between the end of one attempt and the pods of the next."""
    reasons = [one.reason for one in view.status.attempts if one.outcome is not None]
    unready = reasons[-1:] == [CLUSTER_UNREADY]
    return backoff(fruitless_attempts(view) + _UNREADY * unready, view.settings.timing)


def backoff(fruitless: int, timing: TimingSettings) -> float:
    """Return the seconds to wait after so many attempts in a row without a new checkpoint: 0, 0, 2, 4, 8, …"""
    if fruitless <= 1:
        return 0.0
    doublings = min(fruitless - 2, 30)  # beyond, any bound is reached
    return float(min(timing.backoff_most, timing.backoff_base * 2**doublings))
