"""Which of several failures is the cause: pure functions over what the launcher has seen.

When one rank fails, its peers fail with it: their collectives break, or the launcher kills them. So causes
are ranked by kind first and by time second, and the first of the strongest kind is named.
"""

import signal
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from finetune_api.outcomes import Outcome, TerminationMessage, outcome_of_exit
from finetune_trainer.run_dir import RankOutcome


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


_USER_OUTCOMES = frozenset(
    {
        Outcome.CONFIG_INVALID,
        Outcome.DATASET_INVALID,
        Outcome.PREPROCESSING_FAILED,
        Outcome.MODEL_UNAVAILABLE,
        Outcome.OUT_OF_MEMORY,
        Outcome.DIVERGED,
    }
)
_KIND = dict.fromkeys(_USER_OUTCOMES, Kind.USER) | {
    Outcome.CRASHED: Kind.EXCEPTION,
    Outcome.RETRYABLE: Kind.COMMUNICATION,
    Outcome.PREEMPTED: Kind.DRAINED,
    Outcome.INTERRUPTED: Kind.DRAINED,
    Outcome.SUCCEEDED: Kind.SUCCEEDED,
}
_TRUSTED_CODES = _USER_OUTCOMES | {Outcome.RETRYABLE}
"""Exit codes believed without an outcome file; 0, 130 and 143 promise something saved, so they need one."""
_POLITE_EXITS = (-signal.SIGTERM, -signal.SIGINT)
"""Ended by a request that it could not handle yet: the agent's, or one from outside that was passed on."""


@dataclass(frozen=True)
class End:
    """How one process ended, as the launcher saw it."""

    name: str
    """For the message: `rank 3`, `the data preparation`, `the torchrun agent`."""
    rank: int | None
    exit_code: int | None
    """Negative: a signal. None: unknown, because the agent that would know is gone."""
    at_ns: int
    """Monotonic time at which the launcher noticed."""
    stopped: bool
    """The launcher ended it, or it was lost with a process that died."""
    outcome: RankOutcome | None = None
    error: str | None = None
    """What the agent said when torchrun itself failed."""


@dataclass(frozen=True)
class Stop:
    """A request from outside to leave, and how it went."""

    signal: signal.Signals
    grace: float
    """Seconds that the ranks were given to save."""
    overdue: bool = False
    """The grace ended, or a second request came, before every rank had left."""


@dataclass(frozen=True)
class Cause:
    """A candidate: the message it would leave, and where it stands in the ranking."""

    kind: Kind
    at_ns: int
    message: TerminationMessage


def first_cause(causes: Iterable[Cause]) -> Cause:
    """The strongest kind, then the earliest, then the lowest rank; raises `ValueError` when there is none."""
    return min(causes, key=lambda cause: (cause.kind, cause.at_ns, _rank_order(cause.message.rank)))


def kind_of_outcome(outcome: Outcome) -> Kind:
    """The kind of an outcome that a process reported itself."""
    return _KIND[outcome]


def kind_of_message(message: TerminationMessage) -> Kind:
    """The kind behind a node's termination message, for ranking the nodes of one attempt."""
    kind = _KIND[message.outcome]
    if kind is Kind.EXCEPTION and not message.traceback:
        return Kind.SIGNAL
    return kind


def decide(ends: Sequence[End], stop: Stop | None, last_step: int | None = None) -> TerminationMessage:
    """The final word of one node: what ended it, in agreement with the exit code it leaves with.

    `last_step` is the last optimizer step seen, named when a process died without telling its own.
    """
    cause = first_cause([_cause_of(end, last_step) for end in ends])
    if stop is not None and cause.kind is Kind.STOPPED:
        return _stopped_early(stop, last_step)
    return cause.message


def _cause_of(end: End, last_step: int | None) -> Cause:
    if end.outcome is not None:
        return _reported(end, end.outcome)
    if end.stopped or end.exit_code in _POLITE_EXITS:
        return Cause(Kind.STOPPED, end.at_ns, _crashed(end, _describe(end), last_step))
    if end.error is not None:
        message = TerminationMessage(outcome=Outcome.RETRYABLE, message=end.error, rank=end.rank, step=last_step)
        return Cause(Kind.COMMUNICATION, end.at_ns, message)
    return _unexplained(end, last_step)


def _reported(end: End, outcome: RankOutcome) -> Cause:
    message = TerminationMessage(
        outcome=outcome.outcome,
        message=outcome.message,
        rank=outcome.rank,
        step=outcome.step,
        reason=outcome.reason,
        traceback=outcome.traceback,
    )
    return Cause(kind_of_outcome(outcome.outcome), outcome.monotonic_ns, message)


def _unexplained(end: End, last_step: int | None) -> Cause:
    code = end.exit_code
    outcome = outcome_of_exit(code) if code is not None and code > 0 else Outcome.CRASHED
    if outcome in _TRUSTED_CODES:
        text = f"{end.name} left with exit code {code} ({outcome.value}) and no explanation; see its log"
        message = TerminationMessage(outcome=outcome, message=text, rank=end.rank, step=last_step)
        return Cause(kind_of_outcome(outcome), end.at_ns, message)
    return Cause(Kind.SIGNAL, end.at_ns, _crashed(end, _describe(end), last_step))


def _describe(end: End) -> str:
    code = end.exit_code
    if code is None:
        return f"{end.name} died without a word"
    if code >= 0:
        return f"{end.name} left with exit code {code} and no explanation; see its log"
    text = f"{end.name} was killed by {signal_name(-code)}"
    if code == -signal.SIGKILL:
        text += "; when nobody sent it, memory ran out: use a smaller microbatch, or grant more memory"
    return text


def _crashed(end: End, text: str, last_step: int | None) -> TerminationMessage:
    return TerminationMessage(outcome=Outcome.CRASHED, message=text, rank=end.rank, step=last_step)


def _stopped_early(stop: Stop, last_step: int | None) -> TerminationMessage:
    outcome = Outcome.INTERRUPTED if stop.signal == signal.SIGINT else Outcome.RETRYABLE
    if stop.overdue:
        text = f"killed before everything was saved: {stop.signal.name} came, and {stop.grace:g} s of grace"
        text += "; the last complete checkpoint remains"
    else:
        text = f"stopped by {stop.signal.name} before there was anything to save"
    return TerminationMessage(outcome=outcome, message=text, step=last_step)


def signal_name(number: int) -> str:
    """`SIGKILL` for 9; `signal 77` for one without a name here."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _rank_order(rank: int | None) -> int:
    return -1 if rank is None else rank
