"""Which of several failures on one node is the cause: pure functions over what the launcher has seen."""

import signal
from collections.abc import Sequence
from dataclasses import dataclass

from finetune_api.causes import USER_OUTCOMES, Cause, Kind, first_cause, kind_of_outcome
from finetune_api.outcomes import Outcome, TerminationMessage, outcome_of_exit
from finetune_api.reasons import PEER_DRAINED
from finetune_trainer.rank_outcome import RankOutcome

_TRUSTED_CODES = USER_OUTCOMES | {Outcome.RETRYABLE}
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
    reason: str | None = None
    """A finer word for that error, if there is one."""


@dataclass(frozen=True)
class Stop:
    """A request from outside to leave, and how it went."""

    signal: signal.Signals
    grace: float
    """Seconds that the ranks were given to save."""
    overdue: bool = False
    """The grace ended, or a second request came, before every rank had left."""
    of_rank: bool = False
    """One rank alone was asked, and has left; nobody asked the node."""


def decide(
    ends: Sequence[End], stop: Stop | None, last_step: int | None = None, hang: Cause | None = None
) -> TerminationMessage:
    """The final word of one node: what ended it, in agreement with the exit code it leaves with.

    `last_step` is the last optimizer step seen, named when a process died without telling its own. `hang` is a run that
    was ended because nothing happened any more.
    """
    causes = [_cause_of(end, last_step) for end in ends]
    cause = first_cause(causes if hang is None else [hang, *causes])
    if stop is not None and cause.kind is Kind.STOPPED:
        return stopped_early(stop, last_step)
    if cause.kind is Kind.DRAINED and (stop is None or stop.of_rank):
        text = f"{cause.message.message}, with a rank that was asked to leave"
        return cause.message.model_copy(update={"reason": PEER_DRAINED, "message": text})
    return cause.message


def _cause_of(end: End, last_step: int | None) -> Cause:
    if end.outcome is not None:
        return _reported(end, end.outcome)
    if end.stopped or end.exit_code in _POLITE_EXITS:
        return Cause(Kind.STOPPED, end.at_ns, _crashed(end, _describe(end), last_step))
    if end.error is not None:
        message = TerminationMessage(
            outcome=Outcome.RETRYABLE, reason=end.reason or "", message=end.error, rank=end.rank, step=last_step
        )
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


def stopped_early(stop: Stop, last_step: int | None = None) -> TerminationMessage:
    """Return the last words of a node of which not every rank could save, or none had begun."""
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
