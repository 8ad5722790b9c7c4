"""What the pods of an attempt say about it: the table of ends, and the one cause that is reported."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from finetune_api.causes import USER_OUTCOMES, Cause, Kind, first_cause, kind_of_message
from finetune_api.outcomes import Outcome, TerminationMessage, outcome_of_exit
from finetune_api.reasons import PEER_DRAINED, AttemptOutcome
from finetune_api.status import FailureStatus
from finetune_operator.facts import hang_of
from finetune_operator.observed import Observed
from finetune_operator.preflight import PREFLIGHT_FAILED, each_blames_itself, failed
from finetune_operator.seen_pod import SeenPod

SUSPENDING: Final = "Suspending"
"""Reason of an attempt whose pods are being asked to leave."""
RESIZING: Final = "Resizing"
"""Reason of an attempt whose pods are being asked to leave, for the job is to go on with another number of nodes."""
RESIZED: Final = "Resized"
"""Reason of an attempt that ended so."""
UNPLACEABLE: Final = "Unplaceable"
"""Reason of an attempt that ended because not all of its pods found a node."""
HANG: Final = "Hang"
"""Reason in the termination message of a rank that fell silent."""
CLUSTER_UNREADY: Final = "ClusterUnready"
"""Reason of an attempt whose nodes all missed what they share, such as name servers."""
SUPERSEDED: Final = "Superseded"
"""Reason in the termination message of an attempt that found the claim of a later one of the same job."""
_DRAINED_EXIT: Final = 143
_NEEDS_WORDS: Final = (Outcome.PREEMPTED, Outcome.INTERRUPTED)
"""Outcomes that promise a saved checkpoint, which an exit code alone does not."""
_CLEARLY: Final = timedelta(seconds=10)
"""By so much the clocks of nodes do not differ where anybody looks after them."""


@dataclass(frozen=True)
class Circumstances:
    """What the end of one pod has to be seen together with."""

    observed: Observed
    any_removed: bool
    """A pod of the attempt was taken away, by a drain, a preemption or a person."""
    any_pending: bool = False
    """A pod of the attempt has not started yet."""
    all_cut_off: bool = False
    """Each pod of the attempt says that its own node misses what all of them share."""
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


def _superseded(pod: SeenPod, around: Circumstances) -> bool:
    return pod.failed and pod.own_reason == SUPERSEDED


def _gave_up_waiting(pod: SeenPod, around: Circumstances) -> bool:
    return pod.failed and around.any_pending and _said(pod) is Outcome.RETRYABLE


TABLE: Final = (
    Row("Succeeded", lambda pod, around: pod.succeeded, AttemptOutcome.SUCCEEDED),
    Row("", _user_failure, AttemptOutcome.USER_FAILURE),
    Row("Rejected", lambda pod, around: pod.rejected, AttemptOutcome.DISRUPTION),
    Row("NodeLost", lambda pod, around: around.observed.lost(pod), AttemptOutcome.NODE_LOSS),
    Row("PodMissing", lambda pod, around: around.missing, AttemptOutcome.DISRUPTION),
    Row("Removed", lambda pod, around: pod.terminal and pod.removed, AttemptOutcome.DISRUPTION),
    Row(SUPERSEDED, _superseded, AttemptOutcome.DISRUPTION),
    Row("Drained", _drained, AttemptOutcome.DISRUPTION),
    Row("PeerRemoved", _lost_peer, AttemptOutcome.DISRUPTION),
    Row(HANG, lambda pod, around: pod.own_reason == HANG, AttemptOutcome.HANG),
    Row("PeersPending", _gave_up_waiting, AttemptOutcome.CANCELLED),
    Row(CLUSTER_UNREADY, lambda pod, around: around.all_cut_off and failed(pod), AttemptOutcome.DISRUPTION),
    Row("OutOfMemory", lambda pod, around: pod.reason == "OOMKilled", AttemptOutcome.FAILURE),
    Row("", lambda pod, around: pod.failed, AttemptOutcome.FAILURE),
)
"""Judged from the top; an empty reason stands for what the pod says itself. A pod without a row is alive."""

REASONS_OF_ENDS: Final = frozenset(
    {RESIZED, UNPLACEABLE, PREFLIGHT_FAILED, *(row.reason for row in TABLE if row.reason)}
)
"""All reasons of ended attempts but those that are outcomes."""

_STRENGTH: Final = (
    AttemptOutcome.USER_FAILURE,
    AttemptOutcome.NODE_LOSS,
    AttemptOutcome.DISRUPTION,
    AttemptOutcome.HANG,
    AttemptOutcome.FAILURE,
    AttemptOutcome.CANCELLED,
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

    def failure(self, processes: int | None = None) -> FailureStatus:
        """Return the cause as it is reported; of one of `processes` in a pod without words nobody knows which."""
        if self.reason == CLUSTER_UNREADY:  # no pod of it is the one
            return FailureStatus(reason=self.reason, exit_code=self.pod.exit_code, message=self.message)
        told = self.pod.message
        only = self.pod.rank if processes == 1 else None
        return FailureStatus(
            reason=self.reason,
            rank=told.rank if told and told.rank is not None else only,
            pod=self.pod.name,
            node=self.pod.node,
            step=told.step if told else None,
            exit_code=self.pod.exit_code,
            message=self.message,
            traceback=told.traceback if told else None,
        )


def judge(pods: Sequence[SeenPod], missing: Sequence[SeenPod], observed: Observed, nodes: int) -> Verdict | None:
    """Return how an attempt of so many `nodes` ended, or None while it may still end well.

    `missing` stand for pods that were there and left no trace.
    """
    around = Circumstances(
        observed,
        any_removed=bool(missing) or any(pod.removed or observed.lost(pod) for pod in pods),
        any_pending=len(pods) + len(missing) < nodes or any(pod.phase == "Pending" for pod in pods),
        all_cut_off=len(pods) == nodes and each_blames_itself(pods),
    )
    ends = [_verdict(pod, around) for pod in pods]
    ends += [_verdict(pod, replace(around, missing=True)) for pod in missing]
    found = [end for end in ends if end is not None]
    if not found:
        return None
    strongest = min((end.outcome for end in found), key=_STRENGTH.index)
    if strongest is AttemptOutcome.SUCCEEDED and len(found) < nodes:
        return None
    ends_alike = [end for end in found if end.outcome is strongest]
    if strongest is not AttemptOutcome.HANG:
        return _first(ends_alike)
    crashes = _crashes_before(ends_alike, found)
    return _first(crashes) if crashes else _furthest_behind(ends_alike)


def missing_pod(name: str, attempt: int, rank: int) -> SeenPod:
    """Return what stands for a pod that was there and left no trace."""
    return SeenPod(name=name, uid="", attempt=attempt, rank=rank, phase="Unknown", gone=True)


def _verdict(pod: SeenPod, around: Circumstances) -> Verdict | None:
    row = next((row for row in TABLE if row.applies(pod, around)), None)
    if row is None:
        return None
    said = _words(pod)
    reason = row.reason or said.reason
    message = said.message or _describe(pod, row.reason)
    if row.reason == CLUSTER_UNREADY:
        message = f"Every node failed the preflight by itself; one says: {message}"
    return Verdict(row.outcome, reason, message, pod, kind_of_message(said))


def _first(ends: Sequence[Verdict]) -> Verdict:
    """The end of these that is the cause of the others."""
    nearest = min(map(_distance, ends))
    ends = [end for end in ends if _distance(end) == nearest]
    causes = [_cause(end) for end in ends]
    return ends[causes.index(first_cause(causes))]


def _distance(end: Verdict) -> int:
    """How far from the cause a pod was that left in good order: a rank that is asked to leave takes its peers along."""
    if end.reason not in ("Drained", "PeerRemoved"):
        return 0
    own = end.reason == "Drained" and end.pod.own_reason != PEER_DRAINED
    return 1 if own else 2


def _furthest_behind(ends: Sequence[Verdict]) -> Verdict:
    """Of ranks that fell silent, the one that the others wait for; when each was noticed says nothing."""
    return min(ends, key=lambda end: (hang_of(end.pod.told).order, end.pod.rank))


def _crashes_before(hangs: Sequence[Verdict], ends: Sequence[Verdict]) -> list[Verdict]:
    """Ends that the silent ranks may have waited for: crashes that came clearly before, as far as clocks agree."""
    noticed = min((hang.pod.finished for hang in hangs if hang.pod.finished), default=None)
    own = [end for end in ends if end.outcome is AttemptOutcome.FAILURE and end.kind in (Kind.EXCEPTION, Kind.SIGNAL)]
    return [end for end in own if noticed and end.pod.finished and noticed - end.pod.finished > _CLEARLY]


def _cause(end: Verdict) -> Cause:
    return Cause(end.kind, _ended_ns(end.pod), _words(end.pod).model_copy(update={"rank": end.pod.rank}))


def _ended_ns(pod: SeenPod) -> int:
    """Whole seconds of the clock of its node, so that of two ends in one second neither is the first."""
    return int(pod.finished.timestamp()) * 10**9 if pod.finished else 0


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
        SUPERSEDED: "found that a later attempt has claimed the output",
        HANG: "fell silent",
        "PeersPending": "gave up waiting for a peer that has not started",
        "Drained": "was asked to leave",
        "PeerRemoved": "lost a peer that was taken away",
        "OutOfMemory": "ran out of memory: grant more memory, or use a smaller microbatch",
    }
    said = texts.get(reason) or f"left with exit code {pod.exit_code} and no explanation; see its log"
    return f"Pod {pod.name}{where} {said}."
