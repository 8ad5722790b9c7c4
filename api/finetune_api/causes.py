"""Which of several failures is the cause: the ranking that the ranks of a node and the nodes of an attempt share.

When one rank fails, its peers fail with it: their collectives break, or the launcher kills them. So causes
are ranked by kind first and by time second, and the first of the strongest kind is named. Who says that it lost a peer
comes after the others of its kind, and so does torchrun where it speaks of no rank: clocks of nodes differ, and of two
pods that end in one second neither was first.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from finetune_api.outcomes import Outcome, TerminationMessage

PEER_LOST: Final = "lost a peer"
"""How the message of a rank begins whose connection to another one broke."""


class Kind(IntEnum):
    """How strongly an end speaks for being the cause; the smallest is the strongest."""

    USER = 1
    """The configuration, the data, the code or the model is at fault: exit codes 2 to 7."""
    EXCEPTION = 2
    """The process's own exception, reported with a traceback."""
    SIGNAL = 3
    """Ended without a word: a signal nobody here sent, an out-of-memory kill, an unexplained exit."""
    COMMUNICATION = 4
    """A lost peer, a collective's timeout, the store, the disk: often only the echo of another failure."""
    STOPPED = 5
    """Killed by the launcher or ended by SIGTERM before it could save."""
    DRAINED = 6
    """Saved and left, because it was asked to."""
    SUCCEEDED = 7


USER_OUTCOMES: Final = frozenset(
    {
        Outcome.CONFIG_INVALID,
        Outcome.DATASET_INVALID,
        Outcome.PREPROCESSING_FAILED,
        Outcome.MODEL_UNAVAILABLE,
        Outcome.OUT_OF_MEMORY,
        Outcome.DIVERGED,
    }
)
_KIND: Final = dict.fromkeys(USER_OUTCOMES, Kind.USER) | {
    Outcome.CRASHED: Kind.EXCEPTION,
    Outcome.RETRYABLE: Kind.COMMUNICATION,
    Outcome.PREEMPTED: Kind.DRAINED,
    Outcome.INTERRUPTED: Kind.DRAINED,
    Outcome.SUCCEEDED: Kind.SUCCEEDED,
}


@dataclass(frozen=True)
class Cause:
    """A candidate: the message it would leave, and where it stands in the ranking."""

    kind: Kind
    at_ns: int
    message: TerminationMessage


def first_cause(causes: Iterable[Cause]) -> Cause:
    """The strongest kind, then what is no echo, the earliest, the lowest rank; `ValueError` when there is none."""
    return min(causes, key=_order)


def kind_of_outcome(outcome: Outcome) -> Kind:
    """The kind of an outcome that a process reported itself."""
    return _KIND[outcome]


def kind_of_message(message: TerminationMessage) -> Kind:
    """The kind behind a node's termination message, for ranking the nodes of one attempt."""
    kind = _KIND[message.outcome]
    if kind is Kind.EXCEPTION and not message.traceback:
        return Kind.SIGNAL
    return kind


def _order(cause: Cause) -> tuple[Kind, bool, int, int]:
    rank = cause.message.rank
    echo = cause.kind is Kind.COMMUNICATION and (rank is None or cause.message.message.startswith(PEER_LOST))
    return cause.kind, echo, cause.at_ns, -1 if rank is None else rank
