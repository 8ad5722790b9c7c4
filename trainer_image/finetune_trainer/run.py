"""One attempt from its specification to its outputs, in the order in which things must happen."""

import os
import signal

from finetune_api.config import TrainingConfig, load_training_config
from finetune_api.errors import Interrupted, Preempted, RunError
from finetune_api.outcomes import Outcome
from finetune_trainer.assemble import assemble
from finetune_trainer.checkpoint.checkpointer import StartingPoint, checkpoint_folder, claim_output
from finetune_trainer.checkpoint.claims import Claim, require_newest
from finetune_trainer.data.prepared import PreparedData, load_prepared
from finetune_trainer.failures import classified
from finetune_trainer.journal import Journal
from finetune_trainer.run_dir import RunDir
from finetune_trainer.run_journal import RunJournal
from finetune_trainer.run_spec import RunSpec
from finetune_trainer.stopping import StopFlag
from finetune_trainer.train.loop import train
from finetune_trainer.train.state import Drained
from finetune_trainer.train.world import World, join_world

# The launcher ends the ranks when the preparation fails; this only bounds the wait for a launcher that is gone.
_PREPARATION_SECONDS = 7 * 86400.0


def run(spec: RunSpec, run_dir: RunDir, stop: StopFlag, started: float) -> int:
    """Train as `spec` says and return the number of optimizer steps done; raises RunError for every other end."""
    config = load_training_config(spec.config).config
    is_main = os.environ.get("RANK", "0") == "0"
    journal = RunJournal(spec, config, run_dir, started) if is_main else Journal()
    try:
        done = _attempt(spec, config, run_dir, stop, journal)
    except RunError as error:
        journal.close(error.outcome, str(error), error.step)
        raise
    except Exception as error:
        journal.close(*classified(error), None)
        raise
    journal.close(Outcome.SUCCEEDED, f"trained {done} steps", done)
    return done


def _attempt(spec: RunSpec, config: TrainingConfig, run_dir: RunDir, stop: StopFlag, journal: Journal) -> int:
    prepared = _await_data(run_dir, stop, journal)
    with join_world(config.dist_timeout) as world:
        own, start = _claim(spec, config, world)
        # From here on the output is this attempt's, until a newer one claims it.
        journal.own(world, lambda: require_newest(spec.output, own))
        state, course, first = assemble(spec, config, prepared, own, start, world, stop, journal)
        try:
            done = train(state, course, first)
        except Drained as drained:
            raise _stopped(drained.number, f"saved at step {drained.step}", drained.step) from None
        journal.phase("export")
        course.exporter.export_final(state)
        return done


def _await_data(run_dir: RunDir, stop: StopFlag, journal: Journal) -> PreparedData:
    """Wait for the prepared data; nothing before this touches a device or another rank."""
    journal.phase("prepare")
    directory = run_dir.wait_prepared(_PREPARATION_SECONDS, stopped=lambda: stop.wished is not None)
    if directory is None:
        raise _stopped(stop.wished or signal.SIGTERM, "before the first step, nothing to save", None)
    journal.phase("load")
    return load_prepared(directory)


def _claim(spec: RunSpec, config: TrainingConfig, world: World) -> tuple[Claim, StartingPoint]:
    claimed = None
    if world.is_main:
        claimed = claim_output(
            spec.output,
            checkpoint_folder(spec.output, config),
            attempt=spec.attempt,
            uid=spec.job_uid,
            resume_from=spec.resume_from,
        )
    answer: tuple[Claim, StartingPoint] = world.broadcast(claimed)  # type: ignore[assignment]
    return answer


def _stopped(number: int, what: str, step: int | None) -> RunError:
    kind = Interrupted if number == signal.SIGINT else Preempted
    return kind(f"stopped by {signal.Signals(number).name}: {what}", step=step)
