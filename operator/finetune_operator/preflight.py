"""What the pods of an attempt say together of a preflight: whose fault it is that they cannot work."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from finetune_operator.facts import suspects_of
from finetune_operator.seen_pod import SeenPod

PREFLIGHT_FAILED: Final = "PreflightFailed"
"""Reason in the termination message of a node that, or whose peers, did not stand the test before the run."""


def failed(pod: SeenPod) -> bool:
    """Tell whether a pod left because of a preflight."""
    return pod.failed and pod.own_reason == PREFLIGHT_FAILED


def suspected(pods: Sequence[SeenPod]) -> list[str]:
    """Return the nodes that most of an attempt's pods accuse: one that reaches nobody accuses all the others.

    Where that is all of more than two, what fails is common to them, and other nodes would not help.
    """
    votes = Counter(rank for pod in pods if failed(pod) for rank in suspects_of(pod.told))
    most = max(votes.values(), default=0)
    accused = [pod for pod in pods if most and votes[pod.rank] == most]
    if len(accused) == len(pods) > 2:
        return []
    return [pod.node for pod in accused if pod.node]


def each_blames_itself(pods: Sequence[SeenPod]) -> bool:
    """Tell whether all of several nodes miss what they share and only ask for: name servers, or the output's server."""
    return len(pods) > 1 and all(failed(pod) and suspects_of(pod.told) == (pod.rank,) for pod in pods)
