"""`python -m finetune_trainer.launcher`: one node's share of one attempt; never imports torch itself."""

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress

from finetune_api.errors import PreflightFailed, RunError, Superseded
from finetune_api.outcomes import TerminationMessage
from finetune_trainer.checkpoint.claims import claimed_attempt
from finetune_trainer.container import leave_last_words, share_files_with_group
from finetune_trainer.launcher.arguments import NodeLaunch, parse_arguments
from finetune_trainer.launcher.parent_death import die_with_parent
from finetune_trainer.launcher.progress import last_progress
from finetune_trainer.launcher.settle import settled
from finetune_trainer.launcher.signals import SignalInbox
from finetune_trainer.launcher.supervise import NodeRun
from finetune_trainer.launcher.volume import words_about
from finetune_trainer.run_dir import RunDir


def main(argv: Sequence[str] | None = None) -> int:
    """Run the node and leave its termination message; returns the exit code of the outcome."""
    die_with_parent()
    launch = parse_arguments(argv)
    if launch.termination_log is not None:
        share_files_with_group()
    with SignalInbox() as inbox:
        run_dir = RunDir(launch.run_dir)
        node = NodeRun(launch, inbox)
        message = _run(launch, inbox, run_dir, node)
        _leave(launch, run_dir, message, {**node.facts, **_suspects(run_dir, message), **_claimed(launch, message)})
    return message.exit_code


def _run(launch: NodeLaunch, inbox: SignalInbox, run_dir: RunDir, node: NodeRun) -> TerminationMessage:
    try:
        run_dir.create()
        run_dir.write_pid("launcher", os.getpid())
        return settled(launch, inbox, run_dir) or node.run()
    except OSError as error:  # what was started dies with this process
        return words_about(error, launch)


def _suspects(run_dir: RunDir, message: TerminationMessage) -> dict[str, object]:
    found = run_dir.read_preflight().get("suspects") if message.reason == PreflightFailed.reason else None
    return {"suspects": found} if isinstance(found, list) else {}


def _claimed(launch: NodeLaunch, message: TerminationMessage) -> dict[str, object]:
    """The newest attempt of this job that has claimed the output, for whoever numbers the next one."""
    if message.reason != Superseded.reason:
        return {}
    with suppress(RunError, OSError):  # a claim that cannot be read now; the refusal itself stands
        return {"claimedAttempt": claimed_attempt(launch.output, launch.job_uid)}
    return {}


def _leave(launch: NodeLaunch, run_dir: RunDir, message: TerminationMessage, facts: Mapping[str, object]) -> None:
    with suppress(OSError):  # the exit code says the same, and a full disk must not change it
        run_dir.write_termination(message, facts)
    if launch.termination_log is not None:
        progress = last_progress(run_dir.progress_file)
        leave_last_words(launch.termination_log, message, **facts, **({"progress": progress} if progress else {}))


if __name__ == "__main__":
    sys.exit(main())
