"""Prepares the data of one run: `python -m finetune_trainer.prepare --config FILE --cache DIR --run-dir DIR`.

On success it leaves RUN_DIR/prepared.json; in any case an outcome, and the exit code that belongs to it.
"""

import argparse
import errno
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Never

from finetune_api.errors import RunError
from finetune_api.outcomes import Outcome
from finetune_trainer.launcher.parent_death import die_with_parent
from finetune_trainer.run_dir import RunDir

_PASSING = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.EROFS, errno.ETIMEDOUT)


class _Stopped(BaseException):
    """A signal asked to leave; no Exception, so that no `except Exception` on the way keeps it."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome)
        self.outcome = outcome


def main(arguments: Sequence[str] | None = None) -> int:
    """Prepare, leave an outcome in the run directory, and return its exit code."""
    options = _parser().parse_args(arguments)
    run_dir = RunDir(options.run_dir)
    run_dir.create()
    for number, outcome in ((signal.SIGTERM, Outcome.PREEMPTED), (signal.SIGINT, Outcome.INTERRUPTED)):
        signal.signal(number, _stop_with(outcome))
    try:
        message = _prepare(options, run_dir)
    except RunError as error:
        print(f"{error.outcome.value}: {error}\n{error.user_traceback or ''}".rstrip(), file=sys.stderr)
        return run_dir.write_outcome(error.outcome, str(error), rank=None, traceback=error.user_traceback)
    except _Stopped as stopped:
        return run_dir.write_outcome(stopped.outcome, "asked to leave while preparing the data", rank=None)
    except BaseException as error:
        traceback.print_exc()
        passing = isinstance(error, OSError) and error.errno in _PASSING
        outcome = Outcome.RETRYABLE if passing else Outcome.CRASHED
        text = f"{type(error).__name__}: {error}"
        return run_dir.write_outcome(outcome, text, rank=None, traceback=traceback.format_exc())
    return run_dir.write_outcome(Outcome.SUCCEEDED, message, rank=None)


def _prepare(options: argparse.Namespace, run_dir: RunDir) -> str:
    from finetune_api.config import load_training_config
    from finetune_trainer.data import prepare

    run_dir.phase("prepare")
    config = load_training_config(options.config).config

    def report(split: str, done: int, total: int | None) -> None:
        run_dir.progress({"event": "prepare", "split": split, "done": done, "total": total})

    data = prepare(config, options.cache, code_dir=options.code, on_progress=report)
    for split in data.splits.values():
        if split.dropped:
            run_dir.message(f"{split.name}: dropped {split.describe_drops()}", "warning")
        if split.truncated:
            run_dir.message(f"{split.name}: cut {split.truncated} rows to max_seq_len", "warning")
    run_dir.write_prepared(data.directory, data.sha256)
    return f"prepared {', '.join(f'{split.rows} rows of {split.name}' for split in data.splits.values())}"


def _stop_with(outcome: Outcome) -> "signal._HANDLER":
    def stop(number: int, frame: FrameType | None) -> Never:
        raise _Stopped(outcome)

    return stop


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="finetune_trainer.prepare", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="the training configuration")
    parser.add_argument("--cache", type=Path, required=True, help="where prepared data lies")
    parser.add_argument("--run-dir", type=Path, required=True, help="where progress and outcome go")
    parser.add_argument("--code", type=Path, help="directory of the user's own modules")
    return parser


if __name__ == "__main__":
    die_with_parent()
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Not sys.exit: taking the libraries down costs most of a second while ranks wait.
    os._exit(code)
