"""Attention over rows laid end to end, one row at a time: exact, and no mask of the square of their total length."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import PreTrainedModel
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

PER_ROW_ATTENTION = "finetune_per_row"


def per_row_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    row_lengths: tuple[int, ...] | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Attend causally within each of the rows laid end to end.

    `query` is (1, heads, positions, head_dim), `key` and `value` have as many or fewer heads; `row_lengths` adds up to
    positions. Returns (1, positions, heads, head_dim). Raises ValueError for what it cannot honour, so that a model
    that needs more than plain causal attention falls back to another layout.
    """
    if row_lengths is None or attention_mask is not None:
        raise ValueError("per-row attention takes row_lengths and no mask")
    if options.get("sliding_window") is not None or options.get("softcap") is not None:
        raise ValueError("per-row attention has neither sliding windows nor soft caps")
    if options.get("position_bias") is not None or options.get("s_aux") is not None:
        raise ValueError("per-row attention has neither position biases nor sinks")
    rows = zip(*(torch.split(tensor, list(row_lengths), 2) for tensor in (query, key, value)), strict=True)
    grouped = query.shape[1] != key.shape[1]
    outputs = [
        scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=True, scale=scaling, enable_gqa=grouped)
        for q, k, v in rows
    ]
    return torch.cat(outputs, dim=2).transpose(1, 2).contiguous(), None


def use_per_row_attention(model: PreTrainedModel) -> bool:
    """Switch the model to per-row attention; False where its architecture has no replaceable attention."""
    if not getattr(model, "_supports_attention_backend", False) or not _always_attends_to_all(model):
        return False
    ALL_ATTENTION_FUNCTIONS.register(PER_ROW_ATTENTION, per_row_attention)
    model.set_attn_implementation(PER_ROW_ATTENTION)
    return True


def _always_attends_to_all(model: PreTrainedModel) -> bool:
    """Whether no layer is limited to a window or a chunk, which rows too short for it would not show."""
    kinds = getattr(model.config.get_text_config(), "layer_types", None)
    return not kinds or set(kinds) == {"full_attention"}
