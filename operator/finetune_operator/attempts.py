"""What the pods of an attempt say about it: the table of ends, and the one cause that is reported."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from finetune_api.causes import USER_OUTCOMES, Cause, Kind, first_cause, kind_of_message
from finetune_api.outcomes import Outcome, TerminationMessage, outcome_of_exit
from finetune_api.reasons import AttemptOutcome
from finetune_api.status import FailureStatus
from finetune_operator.observed import Observed
from finetune_operator.seen_pod import SeenPod

SUSPENDING: Final = "Suspending"
"""Reason of an attempt whose pods are being asked to leave."""
HANG: Final = "Hang"
"""Reason in the termination message of a rank that fell silent."""
_DRAINED_EXIT: Final = 143
_NEEDS_WORDS: Final = (Outcome.PREEMPTED, Outcome.INTERRUPTED)
"""Outcomes that promise a saved checkpoint, which an exit code alone does not."""


@dataclass(frozen=True)
class Circumstances:
    """What the end of one pod has to be seen together with."""

    observed: Observed
    any_removed: bool
    """A pod of the attempt was taken away, by a drain, a preemption or a person."""
    missing: bool = False
    """The pod was there, and is no more."""


@dataclass(frozen=True)
class Row:
    """One row of the table: a pod to which it applies makes its attempt count as `outcome`."""

    reason: str
    applies: Callable[[SeenPod, Circumstances], bool]
    outcome: AttemptOutcome


def _said(pod: SeenPod) -> Outcome | None:
    """What the pod says of its end itself, or its exit code in its place."""
    if pod.message is not None:
        return pod.message.outcome
    if not pod.failed or not pod.exit_code:
        return None
    outcome = outcome_of_exit(pod.exit_code)
    return Outcome.CRASHED if outcome in _NEEDS_WORDS else outcome


def _user_failure(pod: SeenPod, around: Circumstances) -> bool:
    return pod.terminal and _said(pod) in USER_OUTCOMES


def _drained(pod: SeenPod, around: Circumstances) -> bool:
    told = pod.message is not None and pod.message.outcome is Outcome.PREEMPTED
    return pod.failed and (told or (pod.exit_code == _DRAINED_EXIT and around.any_removed))


def _lost_peer(pod: SeenPod, around: Circumstances) -> bool:
    return pod.failed and around.any_removed and _said(pod) is Outcome.RETRYABLE


TABLE: Final = (
    Row("Succeeded", lambda pod, around: pod.succeeded, AttemptOutcome.SUCCEEDED),
    Row("", _user_failure, AttemptOutcome.USER_FAILURE),
    Row("Rejected", lambda pod, around: pod.rejected, AttemptOutcome.DISRUPTION),
    Row("NodeLost", lambda pod, around: around.observed.lost(pod), AttemptOutcome.NODE_LOSS),
    Row("PodMissing", lambda pod, around: around.missing, AttemptOutcome.DISRUPTION),
    Row("Removed", lambda pod, around: pod.terminal and pod.removed, AttemptOutcome.DISRUPTION),
    Row("Drained", _drained, AttemptOutcome.DISRUPTION),
    Row("PeerRemoved", _lost_peer, AttemptOutcome.DISRUPTION),
    Row(HANG, lambda pod, around: bool(pod.message and pod.message.reason == HANG), AttemptOutcome.HANG),
    Row("OutOfMemory", lambda pod, around: pod.reason == "OOMKilled", AttemptOutcome.FAILURE),
    Row("", lambda pod, around: pod.failed, AttemptOutcome.FAILURE),
)
"""Judged from the top; an empty reason stands for what the pod says itself. A pod without a row is alive."""

_STRENGTH: Final = (
    AttemptOutcome.USER_FAILURE,
    AttemptOutcome.NODE_LOSS,
    AttemptOutcome.DISRUPTION,
    AttemptOutcome.HANG,
    AttemptOutcome.FAILURE,
    AttemptOutcome.SUCCEEDED,
)
"""When pods of one attempt end differently: peers of a pod that was taken away fail because of it."""


@dataclass(frozen=True)
class Verdict:
    """How an attempt ended, and through which pod."""

    outcome: AttemptOutcome
    reason: str
    message: str
    pod: SeenPod
    kind: Kind
    """How strongly the cause speaks for being one."""

    def failure(self) -> FailureStatus:
        """Return the cause as it is reported."""
        told = self.pod.message
        return FailureStatus(
            reason=self.reason,
            rank=told.rank if told and told.rank is not None else None,
            pod=self.pod.name,
            node=self.pod.node,
            step=told.step if told else None,
            exit_code=self.pod.exit_code,
            message=self.message,
        )


def judge(pods: Sequence[SeenPod], missing: Sequence[SeenPod], observed: Observed, nodes: int) -> Verdict | None:
    """Return how an attempt of so many `nodes` ended, or None while it may still end well.

    `missing` stand for pods that were there and left no trace.
    """
    any_removed = bool(missing) or any(pod.removed or observed.lost(pod) for pod in pods)
    around = Circumstances(observed, any_removed)
    ends = [_verdict(pod, around) for pod in pods]
    ends += [_verdict(pod, Circumstances(observed, any_removed, missing=True)) for pod in missing]
    found = [end for end in ends if end is not None]
    if not found:
        return None
    strongest = min((end.outcome for end in found), key=_STRENGTH.index)
    if strongest is AttemptOutcome.SUCCEEDED and len(found) < nodes:
        return None
    return _first([end for end in found if end.outcome is strongest])


def missing_pod(name: str, attempt: int, rank: int) -> SeenPod:
    """Return what stands for a pod that was there and left no trace."""
    return SeenPod(name=name, uid="", attempt=attempt, rank=rank, phase="Unknown", gone=True)


def _verdict(pod: SeenPod, around: Circumstances) -> Verdict | None:
    row = next((row for row in TABLE if row.applies(pod, around)), None)
    if row is None:
        return None
    said = _words(pod)
    reason = row.reason or said.reason
    return Verdict(row.outcome, reason, said.message or _describe(pod, row.reason), pod, kind_of_message(said))


def _first(ends: Sequence[Verdict]) -> Verdict:
    """The end of these that is the cause of the others."""
    causes = [_cause(end) for end in ends]
    return ends[causes.index(first_cause(causes))]


def _cause(end: Verdict) -> Cause:
    pod = end.pod
    at = int(pod.finished.timestamp()) * 10**9 if pod.finished else 0
    return Cause(end.kind, at, _words(pod).model_copy(update={"rank": pod.rank}))


def _words(pod: SeenPod) -> TerminationMessage:
    """The pod's own last words, or what its exit says in their place."""
    if pod.message is not None:
        return pod.message
    outcome = Outcome.SUCCEEDED if pod.succeeded else _said(pod) or Outcome.CRASHED
    return TerminationMessage(outcome=outcome, exit_code=pod.exit_code if pod.exit_code is not None else 1)


def _describe(pod: SeenPod, reason: str) -> str:
    where = f" on node {pod.node}" if pod.node else ""
    texts = {
        "Succeeded": "ended well",
        "Rejected": f"was refused by its node: {pod.note or pod.reason}",
        "NodeLost": "was on a node that is no longer ready",
        "Removed": f"was taken away{f': {pod.note}' if pod.note else ''}",
        "PodMissing": "was deleted",
        "Drained": "was asked to leave",
        "PeerRemoved": "lost a peer that was taken away",
        "OutOfMemory": "ran out of memory: grant more memory, or use a smaller microbatch",
    }
    said = texts.get(reason) or f"left with exit code {pod.exit_code} and no explanation; see its log"
    return f"Pod {pod.name}{where} {said}."
