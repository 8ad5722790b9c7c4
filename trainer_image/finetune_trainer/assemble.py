"""Builds the parts of one run in the only order that works, from prepared data and a claimed output."""

from pathlib import Path

from torch.optim import Optimizer
from transformers import PreTrainedModel

from finetune_api.config import TrainingConfig, check_schedule, check_world
from finetune_trainer.checkpoint.checkpointer import Checkpointer, model_fingerprint
from finetune_trainer.checkpoint.claims import Claim
from finetune_trainer.checkpoint.folder import checkpoint_folder
from finetune_trainer.checkpoint.integrity import require_intact
from finetune_trainer.checkpoint.manifest import Identity
from finetune_trainer.checkpoint.on_main import on_main
from finetune_trainer.checkpoint.takeover import StartingPoint, explicit_checkpoint
from finetune_trainer.data.arrow_file import TokenizedDataset
from finetune_trainer.data.prepared import PreparedData
from finetune_trainer.data.tokenizer import load_tokenizer
from finetune_trainer.journal import Journal
from finetune_trainer.run_spec import RunSpec
from finetune_trainer.stopping import StopFlag
from finetune_trainer.train.early_stop import early_stop
from finetune_trainer.train.exporter import Exporter
from finetune_trainer.train.layout_choice import choose_layout
from finetune_trainer.train.learning_rate import lr_multiplier
from finetune_trainer.train.loop import Course
from finetune_trainer.train.model import check_fits, export_dtype, lengths_asked_for, load_model_config
from finetune_trainer.train.optimizers import build_optimizer, freeze
from finetune_trainer.train.parallel import build_model
from finetune_trainer.train.precision import LossScale, describe_dtypes
from finetune_trainer.train.state import RowPlacement, TrainState
from finetune_trainer.train.timeline import Timeline
from finetune_trainer.train.world import World


def assemble(
    spec: RunSpec,
    config: TrainingConfig,
    prepared: PreparedData,
    own: Claim,
    start: StartingPoint,
    world: World,
    stop: StopFlag,
    journal: Journal,
) -> tuple[TrainState, Course, int]:
    """Return the state, the course and the number of steps that are done already.

    Raises ConfigInvalid, ModelUnavailable or DatasetInvalid for parts that do not fit together, before anything trains.
    """
    check_world(config, world.size)
    rows = {name: TokenizedDataset.open(split) for name, split in prepared.splits.items()}
    timeline = Timeline.of(config, rows["train"].lengths)
    check_schedule(config, timeline.batches_per_epoch)
    stopper = early_stop(config, timeline)
    model_config = load_model_config(config)
    check_fits(config, model_config, max(split.max_token_id for split in prepared.splits.values()))
    exported_as = export_dtype(config, model_config)
    model = build_model(config, model_config, world)
    freeze(config, model)
    tokenizer = load_tokenizer(config)
    optimizer, scale = build_optimizer(config, model), LossScale(config.precision)
    checkpointer = Checkpointer(
        output=spec.output,
        folder=checkpoint_folder(spec.output, config),
        own=own,
        identity=Identity(model_fingerprint(model), prepared.splits["train"].rows_sha256, timeline.order_settings()),
        config=config,
        world=world,
        last_saved=start.step if start.manifest else -1,
        warn=journal.warn,
        sync_records=journal.sync,
    )
    first = _restore(config, checkpointer, start, model, optimizer, scale)
    layout, why = choose_layout(config, model, rows["train"], world)
    width = max(lengths_asked_for(config).values())
    placement = RowPlacement(layout, tokenizer.pad_token_id, tokenizer.padding_side, width)
    state = TrainState(config, world, model, optimizer, scale, stop, placement)
    journal.begin(prepared, timeline, rows, tokenizer, first)
    journal.message(f"rows are laid out {layout.value}: {why}")
    journal.message(describe_dtypes(config, sharded_low=state.fsdp_casts))
    if stopper is not None:
        stopper.replay(world.broadcast(journal.evaluations()))  # type: ignore[arg-type]
    course = Course(
        train_rows=rows["train"],
        eval_rows={label: rows[label] for label in config.eval_loaders_by_label},
        timeline=timeline,
        lr_factor=lr_multiplier(config, timeline.batches_per_epoch),
        checkpointer=checkpointer,
        journal=journal,
        early_stop=stopper,
        exporter=Exporter(spec.output, tokenizer, exported_as, checkpointer.fence),
    )
    return state, course, first


def _restore(
    config: TrainingConfig,
    checkpointer: Checkpointer,
    start: StartingPoint,
    model: PreTrainedModel,
    optimizer: Optimizer,
    scale: LossScale,
) -> int:
    """Load the checkpoint to continue from, or the one that `load_path` names, and return the steps it has done."""
    if start.manifest is not None:
        checkpointer.restore(start, model, optimizer, scale)
        return start.step
    if config.load_path is None:
        return 0
    path = Path(config.load_path)
    given = on_main(checkpointer.world, lambda: explicit_checkpoint(path))
    assert given.directory is not None
    assert given.manifest is not None
    require_intact(given.directory, given.manifest, checkpointer.world)
    if config.load_weights_only:
        checkpointer.restore_weights(given, model)
        return 0
    checkpointer.restore(given, model, optimizer, scale)
    return given.step
