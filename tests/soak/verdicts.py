"""What must become of a job, from what was done to it: a small model of its own, which asks nobody of the operator."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from soak.script import FREE_LIMIT, Act, Kind

FAILURE, HANG, DISRUPTION, NODE_LOSS = "Failure", "Hang", "Disruption", "NodeLoss"
SUCCEEDED, USER_FAILURE, SUSPENDED, CANCELLED = "Succeeded", "UserFailure", "Suspended", "Cancelled"
COUNTED: Final = frozenset({FAILURE, HANG})
FREE: Final = frozenset({DISRUPTION, NODE_LOSS})
ANY: Final = frozenset[str]()

USER_REASONS: Final[Mapping[int, str]] = {
    2: "ConfigInvalid",
    3: "DatasetInvalid",
    4: "PreprocessingFailed",
    5: "ModelUnavailable",
    6: "OutOfMemory",
    7: "Diverged",
}


@dataclass(frozen=True)
class Ruling:
    """How an attempt must be told to have ended."""

    outcome: str
    reasons: frozenset[str] = ANY
    """Empty: any."""

    def fits(self, outcome: str, reason: str) -> bool:
        """Tell whether that is what was told."""
        return outcome == self.outcome and (not self.reasons or reason in self.reasons)


def _ruling(outcome: str, *reasons: str) -> Ruling:
    return Ruling(outcome, frozenset(reasons))


TAKEN: Final = _ruling(DISRUPTION, "Removed", "PodMissing", "Drained", "PeerRemoved")
"""Of an attempt of which a pod was taken away."""
_RULINGS: Final[Mapping[Kind, Ruling]] = {
    Kind.SUCCEED: _ruling(SUCCEEDED, "Succeeded"),
    Kind.ALREADY_COMPLETE: _ruling(SUCCEEDED),
    Kind.CRASH: _ruling(FAILURE, "Crashed"),
    Kind.CRASH_TOLD: _ruling(FAILURE, "Crashed"),
    Kind.GARBLED: _ruling(FAILURE, "Crashed"),
    Kind.LYING: _ruling(FAILURE),
    Kind.RETRYABLE: _ruling(FAILURE, "Retryable"),
    Kind.OOM_KILLED: _ruling(FAILURE, "OutOfMemory"),
    Kind.HANG: _ruling(HANG, "Hang"),
    Kind.PREFLIGHT: _ruling(FAILURE, "PreflightFailed"),
    Kind.SUPERSEDED: _ruling(DISRUPTION, "Superseded"),
    Kind.DRAIN: _ruling(DISRUPTION, "Drained"),
    Kind.SHUTDOWN: TAKEN,
    Kind.EVICTED: TAKEN,
    Kind.REJECTED: _ruling(DISRUPTION, "Rejected"),
    Kind.EVICTION: TAKEN,
    Kind.POD_DELETED: TAKEN,
    Kind.POD_REMOVED: TAKEN,
    Kind.SUSPEND: _ruling(SUSPENDED, "Suspended"),
    Kind.SUSPEND_CRASH: _ruling(SUSPENDED, "Suspended"),
    Kind.RESIZE: _ruling(CANCELLED),
    Kind.OVERTIME: _ruling(CANCELLED, "DeadlineExceeded"),
}
LOST: Final = _ruling(NODE_LOSS, "NodeLost")


def ruling_of(act: Act) -> Ruling:
    """Return how an attempt ends to which `act` happens; raises KeyError for what ends none."""
    if act.kind in (Kind.USER_TOLD, Kind.USER_SILENT):
        return _ruling(USER_FAILURE, USER_REASONS[act.code])
    return _RULINGS[act.kind]


@dataclass(frozen=True)
class End:
    """How a job is over; `reasons` are those that may be told."""

    condition: str
    reasons: frozenset[str]


@dataclass
class Ledger:
    """What was done to one job so far, and what follows from it."""

    most: int
    """`maxRestarts`, as it is now."""
    restarts: int = 0
    in_a_row: int = 0
    """Disruptions, at most: some may have left a checkpoint."""
    fruitless: int = 0
    """Disruptions that certainly left none."""
    end: End | None = None
    may_end: End | None = None
    """An end that is right, as is going on."""

    def attempt_ended(self, outcome: str, reason: str, *, checkpoint: bool) -> None:
        """Note how an attempt was rightly told to have ended."""
        self.may_end = None
        if outcome in FREE:
            self.in_a_row += 1
            self.fruitless = 0 if checkpoint else self.fruitless + 1
        elif outcome == CANCELLED:
            self.fruitless = 0 if checkpoint else self.fruitless  # the operator's own doing, so no disruption
        else:
            self.in_a_row = self.fruitless = 0
        if outcome == SUCCEEDED:
            self.end = End("Complete", frozenset({"Succeeded", "AlreadyComplete"}))
        elif outcome == USER_FAILURE or (outcome == CANCELLED and reason == "DeadlineExceeded"):
            self.end = End("Failed", frozenset({reason}))
        elif outcome in COUNTED:
            self._count()
        elif outcome in FREE and self.in_a_row >= FREE_LIMIT:
            self._too_many()

    def preparing_failed(self, act: Act) -> None:
        """Note what happened to a pod that prepares."""
        if act.kind is Kind.USER_TOLD:
            self.end = End("Failed", frozenset({USER_REASONS[act.code]}))
        elif act.kind is Kind.ALREADY_COMPLETE:
            self.end = End("Complete", frozenset({"AlreadyComplete"}))
        elif act.kind in (Kind.CRASH, Kind.CRASH_TOLD, Kind.OOM_KILLED):
            self._count()

    def _count(self) -> None:
        if self.restarts >= self.most:
            self.end = End("Failed", frozenset({"RestartsExhausted"}))
        else:
            self.restarts += 1

    def _too_many(self) -> None:
        end = End("Failed", frozenset({"NoProgress"}))
        if self.fruitless >= FREE_LIMIT:
            self.end = end
        else:
            self.may_end = end
