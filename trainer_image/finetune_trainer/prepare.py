"""Prepares the data of one run: `python -m finetune_trainer.prepare --config FILE --cache DIR --run-dir DIR`.

On success it leaves RUN_DIR/prepared.json; in any case an outcome, and the exit code that belongs to it. Before an
attempt, in a pod of its own, it is told the output and its job too: it makes sure that the output may be used, and says
in OUTPUT/prepared.json, for all attempts, where the data lies.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from finetune_api.outcomes import Outcome, TerminationMessage
from finetune_trainer.container import leave_last_words, share_files_with_group
from finetune_trainer.dataset_facts import dataset_facts
from finetune_trainer.launcher.announce import announce, read_announced
from finetune_trainer.launcher.parent_death import die_with_parent
from finetune_trainer.output_check import check_output
from finetune_trainer.program import guarded, heed_signals
from finetune_trainer.run_dir import Prepared, RunDir

if TYPE_CHECKING:
    from finetune_trainer.data.prepared import PreparedData

_TELL_SECONDS = 10.0


@dataclass(frozen=True)
class _End:
    """How it ended, and what is told of the data."""

    message: TerminationMessage
    data: "PreparedData | None" = None


def main(arguments: Sequence[str] | None = None) -> int:
    """Prepare, leave an outcome in the run directory, and return its exit code."""
    options = _parser().parse_args(arguments)
    if options.termination_log is not None:
        share_files_with_group()
    run_dir = RunDir(options.run_dir)
    heed_signals()
    ended = guarded(lambda: _run(options, run_dir), "preparing the data")
    end = _End(ended) if isinstance(ended, TerminationMessage) else ended
    message = end.message
    code = run_dir.write_outcome(
        message.outcome, message.message, rank=None, reason=message.reason, traceback=message.traceback
    )
    if options.termination_log is not None:
        facts = {} if end.data is None else {"dataset": dataset_facts(end.data)}
        leave_last_words(options.termination_log, message, **facts)
    return code


def _run(options: argparse.Namespace, run_dir: RunDir) -> _End:
    run_dir.create()
    return _already_complete(options) or _prepare(options, run_dir)


def _already_complete(options: argparse.Namespace) -> _End | None:
    """Whether the job's run has finished on this output; raises ConfigInvalid when the output is not the job's."""
    if options.output is None:
        return None
    message = check_output(options.output, uid=options.job_uid, attempt=0, resume_from=options.resume_from)
    return _End(message, read_announced(options.output)) if message else None


def _prepare(options: argparse.Namespace, run_dir: RunDir) -> _End:
    from finetune_api.config import load_training_config
    from finetune_trainer.data import prepare

    run_dir.phase("prepare")
    config = load_training_config(options.config).config
    progress = _Progress(run_dir, aloud=options.termination_log is not None)
    data = prepare(config, options.cache, code_dir=options.code, on_progress=progress.report)
    for split in data.splits.values():
        if split.dropped:
            progress.warn(f"{split.name}: dropped {split.describe_drops()}")
        if split.truncated:
            progress.warn(f"{split.name}: cut {split.truncated} rows to max_seq_len")
    run_dir.write_prepared(data.directory, data.sha256)
    if options.output is not None:
        announce(options.output, Prepared(data.directory.absolute(), data.sha256), job_uid=options.job_uid)
    text = f"prepared {', '.join(f'{split.rows} rows of {split.name}' for split in data.splits.values())}"
    progress.say(text)
    return _End(TerminationMessage(outcome=Outcome.SUCCEEDED, message=text), data)


@dataclass
class _Progress:
    """Tells how far the preparation is; `aloud` where nobody follows the run directory."""

    run_dir: RunDir
    aloud: bool
    next_line: float = 0.0

    def report(self, split: str, done: int, total: int | None) -> None:
        self.run_dir.progress({"event": "prepare", "split": split, "done": done, "total": total})
        if time.monotonic() >= self.next_line or done == total:
            self.next_line = time.monotonic() + _TELL_SECONDS
            self.say(f"{split}: {done} of {'?' if total is None else total} rows")

    def warn(self, text: str) -> None:
        self.run_dir.message(text, "warning")
        self.say(f"warning: {text}")

    def say(self, text: str) -> None:
        if self.aloud:
            print(text, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="finetune_trainer.prepare", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="the training configuration")
    parser.add_argument("--cache", type=Path, required=True, help="where prepared data lies")
    parser.add_argument("--run-dir", type=Path, required=True, help="where progress and outcome go")
    parser.add_argument("--code", type=Path, help="directory of the user's own modules")
    parser.add_argument("--output", type=Path, help="the output of the job whose data this is, for all its attempts")
    parser.add_argument("--job-uid", default="", help="the job's uid")
    parser.add_argument("--resume-from", help="the uid of another job whose output may be continued")
    parser.add_argument("--termination-log", type=Path, help="write the outcome, and counts of the data, here too")
    return parser


if __name__ == "__main__":
    die_with_parent()
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Not sys.exit: taking the libraries down costs most of a second while ranks wait.
    os._exit(code)
