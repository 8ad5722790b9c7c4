"""One rank: `python -m finetune_trainer.worker --spec RUN_DIR/spec.json`, started by torchrun.

Whatever happens, it leaves an outcome file and the exit code that belongs to it. Heavy imports wait until the rank can
be found and stopped.
"""

import argparse
import os
import sys
import time
import traceback
from pathlib import Path

from finetune_api.errors import PreflightFailed, RunError
from finetune_api.outcomes import Outcome, exit_code
from finetune_trainer.heartbeat import Heartbeat, HeartbeatFile
from finetune_trainer.launcher.parent_death import die_with_parent
from finetune_trainer.run_dir import RunDir
from finetune_trainer.run_spec import RunSpec
from finetune_trainer.stack_dump import offer_stack
from finetune_trainer.stopping import StopFlag

STARTED = time.monotonic()

_DRAINED = (exit_code(Outcome.PREEMPTED), exit_code(Outcome.INTERRUPTED))


def main() -> None:
    """Run this rank and leave with the exit code of its outcome."""
    die_with_parent()
    parser = argparse.ArgumentParser(prog="finetune_trainer.worker", description=__doc__)
    parser.add_argument("--spec", type=Path, required=True, help="the run's specification, a JSON file")
    spec = RunSpec.load(parser.parse_args().spec)
    rank = int(os.environ.get("RANK", "0"))
    run_dir = RunDir(spec.run_dir)
    stop = StopFlag()
    stop.install()
    heart = Heartbeat()
    try:
        heart = _show_itself(run_dir, rank)
    except OSError as error:
        code = _unforeseen(run_dir, rank, error)
    else:
        code = _outcome(spec, run_dir, rank, stop, heart)
    heart.enter("done")
    if code in _DRAINED:
        run_dir.await_peers()
    # Not sys.exit: threads of a collective that lost its peers would keep the interpreter from leaving.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _show_itself(run_dir: RunDir, rank: int) -> Heartbeat:
    """Let the launcher find this rank, watch it and ask for its stack; raises OSError for a full run directory."""
    offer_stack(run_dir.stack_file(rank))
    heart = HeartbeatFile(run_dir.heartbeat_file(rank))
    run_dir.register_rank(rank)
    return heart


def _outcome(spec: RunSpec, run_dir: RunDir, rank: int, stop: StopFlag, heart: Heartbeat) -> int:
    try:
        from finetune_trainer.run import run

        step = run(spec, run_dir, stop, heart, STARTED)
    except RunError as error:
        print(f"{error.outcome.value}: {error}", file=sys.stderr)
        if isinstance(error, PreflightFailed):
            _leave_suspects(run_dir, error)
        return run_dir.write_outcome(
            error.outcome,
            str(error),
            rank=rank,
            step=error.step,
            reason=error.reason,
            traceback=error.user_traceback,
        )
    except BaseException as error:
        return _unforeseen(run_dir, rank, error)
    return run_dir.write_outcome(Outcome.SUCCEEDED, f"trained {step} steps", rank=rank, step=step)


def _unforeseen(run_dir: RunDir, rank: int, error: BaseException) -> int:
    from finetune_trainer.failures import classified

    traceback.print_exception(error)
    outcome, message = classified(error)
    trace = "".join(traceback.format_exception(error))
    return run_dir.write_outcome(outcome, message, rank=rank, traceback=trace)


def _leave_suspects(run_dir: RunDir, error: PreflightFailed) -> None:
    try:
        run_dir.write_preflight({**run_dir.read_preflight(), "fault": str(error), "suspects": error.suspects})
    except OSError as full:  # the fault itself matters more
        print(f"cannot record the suspects {error.suspects}: {full}", file=sys.stderr)


if __name__ == "__main__":
    main()
