"""What is settled before anything is started for an attempt: whether it may begin on this output at all."""

import socket
import sys
from contextlib import suppress
from functools import partial
from typing import Final

from finetune_api.errors import PreflightFailed, Retryable, RunError
from finetune_api.outcomes import TerminationMessage
from finetune_trainer.checkpoint.claims import refuse_late_attempts
from finetune_trainer.launcher.announce import SETTLING_SECONDS, require_prepared
from finetune_trainer.launcher.arguments import NodeLaunch
from finetune_trainer.launcher.causes import Stop, stopped_early
from finetune_trainer.launcher.signals import SignalInbox
from finetune_trainer.launcher.volume import Asked, Silent, within
from finetune_trainer.output_check import check_output
from finetune_trainer.run_dir import RunDir

MEETING_SECONDS: Final = 25.0
"""How long a volume has to answer where other nodes wait to meet this one: a few dozen small requests, of which a slow
one answers several a second. The node is then named as the faulty one within half a minute."""
LONE_SECONDS: Final = 300.0
"""Elsewhere nobody waits, and another machine may be no better: longer than a file server takes to fail over."""


def settled(launch: NodeLaunch, inbox: SignalInbox, run_dir: RunDir) -> TerminationMessage | None:
    """Return the last words of an attempt that ends before it begins; None for one that may begin.

    Raises OSError for what the output volume answers and nobody foresaw.
    """
    try:
        over = _answer(launch, inbox)
    except Asked:
        over = stopped_early(Stop(inbox.take()[0], launch.grace))
    except RunError as error:
        over = TerminationMessage(outcome=error.outcome, reason=error.reason or "", message=str(error))
        if isinstance(error, PreflightFailed):
            with suppress(OSError):
                run_dir.write_preflight({"fault": str(error), "suspects": error.suspects})
    if over is not None:
        print(f"{over.reason}: {over.message}", file=sys.stderr, flush=True)
    return over


def _answer(launch: NodeLaunch, inbox: SignalInbox) -> TerminationMessage | None:
    seconds = MEETING_SECONDS if launch.wants_preflight else LONE_SECONDS
    try:
        over = within(seconds, lambda: _whose(launch), inbox.has_any)
        if over is None and launch.prepare == "done":
            look = partial(require_prepared, launch, stopped=inbox.has_any)
            within(seconds + SETTLING_SECONDS, look, inbox.has_any)
        return over
    except Silent as silent:
        raise _silence(launch, seconds) from silent


def _whose(launch: NodeLaunch) -> TerminationMessage | None:
    over = check_output(launch.output, uid=launch.job_uid, attempt=launch.attempt, resume_from=launch.resume_from)
    if over is None:
        refuse_late_attempts(launch.output, launch.job_uid, launch.attempt)
    return over


def _silence(launch: NodeLaunch, seconds: float) -> RunError:
    node = f"node {launch.node_rank} ({socket.gethostname()})"
    text = f"the output volume of {node} did not say within {seconds:g} s whose {launch.output} is"
    hint = "Is it mounted, and does its server answer?"
    if launch.wants_preflight:
        return PreflightFailed(text, suspects=[launch.node_rank], hint=hint)
    return Retryable(text, hint=hint)
