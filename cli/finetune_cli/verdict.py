"""How a run over several nodes ended: the launchers' last words, ranked as they rank their own."""

import signal
from collections.abc import Sequence
from dataclasses import dataclass

from finetune_api.causes import Cause, Kind, first_cause, kind_of_message
from finetune_api.outcomes import Outcome, TerminationMessage


@dataclass(frozen=True)
class NodeEnd:
    """How one node ended."""

    node: int
    message: TerminationMessage | None
    """None: its launcher died without leaving one."""
    at_ns: int
    """When the message was left."""
    killed: bool = False
    """The command killed its launcher, because another node had failed or the grace was over."""


def verdict(ends: Sequence[NodeEnd], stop: signal.Signals | None) -> TerminationMessage:
    """The first cause over all nodes; `stop` is the signal that asked the whole run to leave, if one did."""
    causes = [cause for end in ends if (cause := _cause(end)) is not None]
    if causes:
        return first_cause(causes).message
    outcome = Outcome.INTERRUPTED if stop == signal.SIGINT else Outcome.RETRYABLE
    return TerminationMessage(
        outcome=outcome,
        message="killed before everything was saved; the last complete checkpoint remains",
    )


def _cause(end: NodeEnd) -> Cause | None:
    if end.message is not None:
        return Cause(kind_of_message(end.message), end.at_ns, end.message)
    if end.killed:
        return None
    text = f"the launcher of node {end.node} died without a word; when nobody killed it, memory ran out"
    return Cause(Kind.SIGNAL, end.at_ns, TerminationMessage(outcome=Outcome.CRASHED, message=text))
