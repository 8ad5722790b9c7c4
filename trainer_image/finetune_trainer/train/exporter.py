"""The models a run leaves: the final one, and those the `hf_checkpointer` callback wants on the way."""

from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerBase

from finetune_trainer.checkpoint.export import INTERMEDIATE, export_model
from finetune_trainer.fence import Fence
from finetune_trainer.train.intervals import is_due
from finetune_trainer.train.state import TrainState
from finetune_trainer.train.timeline import Timeline

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Exporter:
    """Knows where models go, and in which dtype unless told otherwise: that of the checkpoint the run began with.

    Nothing is put in place once a newer attempt owns the output.
    """

    output: Path
    tokenizer: PreTrainedTokenizerBase
    source_dtype: torch.dtype
    fence: Fence

    def due(self, run: TrainState, timeline: Timeline, done: int) -> Path | None:
        """Return what `hf_checkpointer` wants exported after `done` steps; the end is left to `export_final`."""
        settings = run.config.callbacks.hf_checkpointer
        if settings is None or done == timeline.total_batches:
            return None
        if not is_due(settings.save_interval, timeline, done):
            return None
        folder = Path(settings.save_folder) if settings.save_folder else self.output / INTERMEDIATE
        name = settings.huggingface_folder_name.format(batch=done, epoch=timeline.clock(done).epoch)
        stays = not settings.overwrite and run.world.broadcast((folder / name).exists())
        return None if stays else folder / name

    def export_final(self, run: TrainState) -> Path:
        """Export the final model to `OUTPUT/model`."""
        self.export(run, self.output / "model")
        return self.output / "model"

    def export(self, run: TrainState, destination: Path) -> None:
        """Export the model as it is now to `destination`."""
        run.world.heart.enter("export")
        settings = run.config.callbacks.hf_checkpointer
        wanted = _DTYPES[settings.precision] if settings and settings.precision else self.source_dtype
        export_model(run.model, self.tokenizer, destination, run.world, dtype=wanted, fence=self.fence)
