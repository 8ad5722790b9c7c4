"""Attention within rows laid end to end."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from finetune_trainer.train.attention import per_row_attention, use_per_row_attention
from support.training import tiny_llama, tiny_mpt

LENGTHS = (3, 1, 4)


def attend(query: Tensor, key: Tensor, value: Tensor, **options: Any) -> Tensor:
    options = {"attention_mask": None, "row_lengths": LENGTHS} | options
    output, _ = per_row_attention(nn.Module(), query, key, value, **options)
    return output


def plain(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    """Attend by the definition, position by position, each to what came before it in its own row."""
    heads, shared = query.shape[1], query.shape[1] // key.shape[1]
    output = torch.zeros(1, query.shape[2], heads, query.shape[3])
    ends = torch.tensor(LENGTHS).cumsum(0).tolist()
    for head in range(heads):
        for start, end in zip([0, *ends[:-1]], ends, strict=True):
            for i in range(start, end):
                keys, values = key[0, head // shared, start : i + 1], value[0, head // shared, start : i + 1]
                chances = torch.softmax(keys @ query[0, head, i] * scale, dim=0)
                output[0, i, head] = chances @ values
    return output


def tensors(heads: int, key_heads: int) -> tuple[Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(0)
    size = sum(LENGTHS)
    return (
        torch.randn(1, heads, size, 4, generator=draw),
        torch.randn(1, key_heads, size, 4, generator=draw),
        torch.randn(1, key_heads, size, 4, generator=draw),
    )


@pytest.mark.parametrize("key_heads", [4, 2, 1])
def test_each_position_sees_only_earlier_ones_of_its_own_row(key_heads: int) -> None:
    q, k, v = tensors(4, key_heads)
    assert torch.allclose(attend(q, k, v), plain(q, k, v, 0.5), atol=1e-6)
    assert torch.allclose(attend(q, k, v, scaling=0.2), plain(q, k, v, 0.2), atol=1e-6)


def test_a_row_does_not_feel_what_its_neighbours_say() -> None:
    q, k, v = tensors(2, 2)
    before = attend(q, k, v)
    k[:, :, :3], v[:, :, :3] = 9.0, 9.0
    after = attend(q, k, v)
    assert torch.equal(before[:, 3:], after[:, 3:])
    assert not torch.equal(before[:, :3], after[:, :3])


@pytest.mark.parametrize(
    "unusual",
    [
        {"row_lengths": None},
        {"attention_mask": torch.ones(1, 1, 8, 8)},
        {"sliding_window": 4},
        {"softcap": 30.0},
        {"position_bias": torch.zeros(1)},
        {"s_aux": torch.zeros(1)},
    ],
    ids=lambda options: next(iter(options)),
)
def test_what_it_cannot_honour_is_refused(unusual: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="per-row attention"):
        attend(*tensors(2, 2), **unusual)


def test_options_that_are_off_are_no_obstacle() -> None:
    q, k, v = tensors(2, 2)
    assert torch.equal(attend(q, k, v, sliding_window=None, softcap=None, is_causal=True), attend(q, k, v))


def test_only_an_architecture_with_a_replaceable_attention_is_switched() -> None:
    assert use_per_row_attention(tiny_llama())
    mpt = tiny_mpt()
    before = mpt.config._attn_implementation
    assert not use_per_row_attention(mpt)
    assert mpt.config._attn_implementation == before


def test_an_architecture_with_windows_or_chunks_keeps_its_own_attention() -> None:
    model = tiny_llama()
    model.config.layer_types = ["full_attention", "chunked_attention"]
    assert not use_per_row_attention(model)
