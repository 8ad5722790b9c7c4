"""The loss of a microbatch: summed over its targets, to be divided by those of the whole global batch."""

from typing import Any

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from finetune_trainer.data.assembly import IGNORED
from finetune_trainer.train.layouts import Microbatch


def loss_sum(model: nn.Module, microbatch: Microbatch) -> Tensor:
    """Return the summed cross-entropy (a float32 scalar) over the microbatch's targets; 0 when it has none.

    The root's forward computes the logits, and only at the kept positions: a sharded model may be entered nowhere else.
    """
    return cross_entropy(
        target_logits(model, microbatch).float(),
        microbatch.targets,
        ignore_index=IGNORED,
        reduction="sum",
    )


def target_logits(model: nn.Module, microbatch: Microbatch) -> Tensor:
    """Return the logits at the kept positions, shape (kept, vocabulary)."""
    output: Any = model(**microbatch.inputs, use_cache=False, logits_to_keep=microbatch.keep)
    logits: Tensor = output.logits
    return logits
