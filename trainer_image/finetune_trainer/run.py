"""One attempt from its specification to its outputs, in the order in which things must happen."""

import os
import signal

from finetune_api.config import TrainingConfig, load_training_config
from finetune_api.errors import Interrupted, Preempted, RunError
from finetune_api.outcomes import Outcome
from finetune_trainer.assemble import assemble
from finetune_trainer.checkpoint.claims import Claim, require_newest
from finetune_trainer.checkpoint.folder import checkpoint_folder
from finetune_trainer.checkpoint.takeover import StartingPoint, Takeover, claim_output
from finetune_trainer.data.prepared import PreparedData, load_prepared
from finetune_trainer.failures import classified
from finetune_trainer.fence import Fence
from finetune_trainer.heartbeat import Heartbeat
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

_NOTHING_DONE = "before the first step, nothing to save"

_COLLECTIVE_SECONDS = 7200.0
"""When collectives give up by themselves, at the earliest: longer than the launcher lets a rank be silent.

A collective that times out ends a rank that waits, and names nobody; the launcher names the one that is waited for. It
knows `dist_timeout` from the heartbeat.
"""


def run(spec: RunSpec, run_dir: RunDir, stop: StopFlag, heart: Heartbeat, started: float) -> int:
    """Train as `spec` says and return the number of optimizer steps done; raises RunError for every other end."""
    config = load_training_config(spec.config).config
    is_main = os.environ.get("RANK", "0") == "0"
    journal = RunJournal(spec, config, run_dir, started) if is_main else Journal()
    try:
        done = _attempt(spec, config, run_dir, stop, heart, journal)
    except RunError as error:
        heart.enter("report")
        journal.close(error.outcome, str(error), error.step)
        raise
    except Exception as error:
        heart.enter("report")
        journal.close(*classified(error), None)
        raise
    heart.enter("report")
    journal.close(Outcome.SUCCEEDED, f"trained {done} steps", done)
    return done


def _attempt(
    spec: RunSpec, config: TrainingConfig, run_dir: RunDir, stop: StopFlag, heart: Heartbeat, journal: Journal
) -> int:
    prepared = _await_data(run_dir, stop, heart, journal)
    with join_world(max(_COLLECTIVE_SECONDS, config.dist_timeout), heart, preflight=spec.preflight) as world:
        heart.patience = config.dist_timeout if world.size > 1 else 0.0
        # Who saw the data came here whatever was asked of it meanwhile: its peers waited. Now all can leave together.
        if number := stop.agreed(world):
            raise _stopped(number, _NOTHING_DONE, None)
        own, start = _take_over(spec, config, world, journal)
        # From here on the output is this attempt's, until a newer one claims it.
        journal.own(world, Fence(own.attempt, lambda: require_newest(spec.output, own)))
        state, course, first = assemble(spec, config, prepared, own, start, world, stop, journal)
        try:
            done = train(state, course, first)
        except Drained as drained:
            raise _stopped(drained.number, f"saved at step {drained.step}", drained.step) from None
        journal.phase("export")
        course.exporter.export_final(state)
        return done


def _await_data(run_dir: RunDir, stop: StopFlag, heart: Heartbeat, journal: Journal) -> PreparedData:
    """Wait for the prepared data; nothing before this touches a device or another rank."""
    journal.phase("prepare")
    heart.enter("prepare")
    directory = run_dir.wait_prepared(_PREPARATION_SECONDS, stopped=lambda: stop.wished is not None)
    if directory is None:
        raise _stopped(stop.wished or signal.SIGTERM, _NOTHING_DONE, None)
    journal.phase("load")
    heart.enter("load")
    return load_prepared(directory)


def _take_over(spec: RunSpec, config: TrainingConfig, world: World, journal: Journal) -> tuple[Claim, StartingPoint]:
    what = Takeover(
        output=spec.output,
        folder=checkpoint_folder(spec.output, config),
        attempt=spec.attempt,
        uid=spec.job_uid,
        resume_from=spec.resume_from,
        warn=journal.warn,
    )
    return claim_output(what, world)


def _stopped(number: int, what: str, step: int | None) -> RunError:
    kind = Interrupted if number == signal.SIGINT else Preempted
    return kind(f"stopped by {signal.Signals(number).name}: {what}", step=step)
