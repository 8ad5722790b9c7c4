"""Which layout a run uses: what the configuration asks for, else the fastest one that proves exact on this model.

Padding-free attention costs the sum of the squares of the rows' lengths, and never builds a mask, so it is the cheapest
layout at any length; it is refused where the model's own attention gives other logits.
"""

from collections.abc import Sequence

import numpy as np
import torch
from transformers import PreTrainedModel

from finetune_api.config import TrainingConfig
from finetune_trainer.data.arrow_file import TokenizedDataset, TokenizedRow
from finetune_trainer.train.attention import use_per_row_attention
from finetune_trainer.train.layouts import Layout, lay_out
from finetune_trainer.train.loss import target_logits
from finetune_trainer.train.world import World

# Rounding separates two exact layouts by about 1e-6 of the largest logit in fp32 and 1e-2 in bf16; a row that sees its
# neighbour moves logits by far more.
_TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 4e-2, torch.float16: 1e-2}


def choose_layout(
    config: TrainingConfig, model: PreTrainedModel, dataset: TokenizedDataset, world: World
) -> tuple[Layout, str]:
    """Return the layout and the reason in words; switches the model's attention when rows go without padding."""
    options = config.train_loader.dataset
    if options.allow_pad_trimming is False and not options.pad_to_longest:
        return Layout.PADDED, "allow_pad_trimming is false"
    if options.allow_pad_trimming or options.pad_to_longest:
        return Layout.TRIMMED, "padding is asked for by allow_pad_trimming or pad_to_longest"
    if getattr(config.model, "attn_implementation", None) is not None:
        return Layout.TRIMMED, "attn_implementation names an attention of its own"
    before = model.config._attn_implementation
    rows = [dataset.row(i) for i in _shortest(dataset, 2)]
    expected = [_logits(model, [row], Layout.TRIMMED, world) for row in rows]
    if not use_per_row_attention(model):
        return Layout.TRIMMED, f"{type(model).__name__} has no replaceable attention"
    if _equal(model, rows, expected, world):
        return Layout.PADDING_FREE, "rows laid end to end give the model's own logits"
    model.set_attn_implementation(before)
    return Layout.TRIMMED, f"{type(model).__name__} gives other logits when rows are laid end to end"


def _equal(model: PreTrainedModel, rows: Sequence[TokenizedRow], expected: list[torch.Tensor], world: World) -> bool:
    try:
        together = _logits(model, rows, Layout.PADDING_FREE, world)
    except (TypeError, ValueError):
        return False  # an architecture that does not hand row_lengths on to its attention
    alone = torch.cat(expected)
    tolerance = _TOLERANCE[alone.dtype] * float(alone.abs().max())
    differs = int(float((together - alone).abs().max()) > tolerance)
    return not world.any(differs)


@torch.no_grad()
def _logits(model: PreTrainedModel, rows: Sequence[TokenizedRow], layout: Layout, world: World) -> torch.Tensor:
    model.eval()
    microbatch = lay_out(rows, layout, pad_id=0, padding_side="right", padded_to=0).to(world.device)
    return target_logits(model, microbatch)


def _shortest(dataset: TokenizedDataset, count: int) -> list[int]:
    """Return the indices of the shortest rows, repeated if there are too few: enough for the check, and cheap."""
    order = dataset.lengths.argsort(kind="stable")
    return np.resize(order[:count], count).tolist()
