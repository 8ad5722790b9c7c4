"""The loss over a whole evaluation set, per target token, the same for any number of ranks."""

import math
from dataclasses import dataclass

import numpy as np
import torch

from finetune_trainer.data.arrow_file import TokenizedDataset
from finetune_trainer.train.loss import loss_sum
from finetune_trainer.train.precision import autocast
from finetune_trainer.train.state import TrainState


@dataclass(frozen=True)
class EvalResult:
    """The mean loss per target token and its exponential."""

    loss: float
    loss_tokens: int

    @property
    def perplexity(self) -> float:
        """The exponential of the loss, infinite where that is too large for a float."""
        return math.exp(self.loss) if self.loss < 709 else math.inf


@torch.no_grad()
def evaluate(run: TrainState, dataset: TokenizedDataset, *, drop_last: bool) -> EvalResult:
    """Return the loss over the dataset, or over its first `eval_subset_num_batches` batches of every rank.

    Raises Drained when all ranks agreed to stop between two batches.
    """
    run.model.eval()
    total = 0.0
    per_rank = _rows_per_forward(run)
    used = _rows(len(dataset), per_rank * run.world.size, run.config.eval_subset_num_batches, drop_last=drop_last)
    for start in range(0, len(used), per_rank * run.world.size):
        batch = used[start : start + per_rank * run.world.size]
        for microbatch in run.microbatches(dataset, batch, None):
            with autocast(run.config, run.world.device, sharded_low=run.fsdp_casts):
                total += float(loss_sum(run.model, microbatch))
    loss_tokens = int(dataset.targets[used].sum())
    return EvalResult(run.world.sum([total])[0] / max(1, loss_tokens), loss_tokens)


def _rows_per_forward(run: TrainState) -> int:
    config = run.config
    share = -(-config.global_train_batch_size // run.world.size)
    return config.device_eval_batch_size or config.device_train_microbatch_size or share


def _rows(count: int, batch: int, subset: int, *, drop_last: bool) -> np.ndarray:
    if drop_last and count >= batch:
        count -= count % batch
    return np.arange(count if subset < 0 else min(count, subset * batch))
