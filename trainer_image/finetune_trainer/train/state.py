"""What the training functions share: the parts of one run, built once and passed along."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from torch.optim import Optimizer
from transformers import PreTrainedModel

from finetune_api.config import TrainingConfig
from finetune_trainer.data.arrow_file import TokenizedDataset
from finetune_trainer.stopping import StopFlag
from finetune_trainer.train.layouts import Layout, Microbatch, lay_out
from finetune_trainer.train.microbatches import microbatches
from finetune_trainer.train.parallel import is_sharded
from finetune_trainer.train.precision import LossScale
from finetune_trainer.train.world import World


class Drained(Exception):
    """All ranks agreed to save and leave; carries the signal that asked for it."""

    def __init__(self, number: int) -> None:
        super().__init__(f"signal {number}")
        self.number = number
        self.step = 0
        """The optimizer steps that were done and saved."""


@dataclass(frozen=True)
class RowPlacement:
    """How rows become the model's inputs; `padded_to` is the width (positions) of the padded layout."""

    layout: Layout
    pad_id: int
    padding_side: str
    padded_to: int


@dataclass
class TrainState:
    """One run on one rank."""

    config: TrainingConfig
    world: World
    model: PreTrainedModel
    optimizer: Optimizer
    scale: LossScale
    stop: StopFlag
    placement: RowPlacement

    @property
    def fsdp_casts(self) -> bool:
        """Whether FSDP2, not autocast, lowers the precision of a forward pass."""
        settings = self.config.fsdp_config
        return is_sharded(self.config) and settings is not None and settings.mixed_precision != "FULL"

    def leave_if_asked(self) -> None:
        """Raise Drained on every rank once any of them was asked to stop."""
        if number := self.stop.agreed(self.world):
            raise Drained(number)

    def microbatches(self, dataset: TokenizedDataset, rows: np.ndarray, size: int | None) -> Iterator[Microbatch]:
        """Yield this rank's microbatches of a global batch; between them, all ranks agree whether to go on.

        Raises Drained on every rank at the same microbatch once any of them was asked to stop.
        """
        place = self.placement
        for part in microbatches(rows.tolist(), rank=self.world.rank, ranks=self.world.size, size=size):
            self.leave_if_asked()
            examples = [dataset.row(row) for row in part]
            self.world.heart.beat()  # a rank that its data holds up has come less far than its peers
            yield lay_out(
                examples,
                place.layout,
                pad_id=place.pad_id,
                padding_side=place.padding_side,
                padded_to=place.padded_to,
            ).to(self.world.device)
