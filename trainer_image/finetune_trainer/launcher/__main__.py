"""`python -m finetune_trainer.launcher`: one node's share of one attempt; never imports torch itself."""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress

from finetune_api.outcomes import TerminationMessage
from finetune_trainer.launcher.arguments import NodeLaunch, parse_arguments
from finetune_trainer.launcher.parent_death import die_with_parent
from finetune_trainer.launcher.signals import SignalInbox
from finetune_trainer.launcher.supervise import NodeRun
from finetune_trainer.run_dir import RunDir


def main(argv: Sequence[str] | None = None) -> int:
    """Run the node and leave its termination message; returns the exit code of the outcome."""
    die_with_parent()
    launch = parse_arguments(argv)
    with SignalInbox() as inbox:
        run_dir = RunDir(launch.run_dir)
        run_dir.create()
        run_dir.write_pid("launcher", os.getpid())
        message = NodeRun(launch, inbox).run()
        _leave(launch, run_dir, message)
    return message.exit_code


def _leave(launch: NodeLaunch, run_dir: RunDir, message: TerminationMessage) -> None:
    with suppress(OSError):  # the exit code says the same, and a full disk must not change it
        run_dir.write_termination(message)
    if launch.termination_log is not None:
        with suppress(OSError):
            launch.termination_log.write_text(message.to_json(), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
