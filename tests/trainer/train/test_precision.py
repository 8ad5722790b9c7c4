"""Dtypes of a run in words, autocast, and the loss scale of float16."""

from pathlib import Path
from typing import Any

import pytest
import torch

from finetune_api.errors import Diverged
from finetune_trainer.train.precision import SKIPS_BEFORE_DIVERGED, LossScale, autocast, describe_dtypes
from support.training import training_config

CPU = torch.device("cpu")


def computed(precision: str, *, sharded_low: bool = False) -> torch.dtype:
    config = training_config(Path("gpt2"), {"precision": precision})
    with autocast(config, CPU, sharded_low=sharded_low):
        return (torch.ones(2, 2) @ torch.ones(2, 2)).dtype


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [("fp32", torch.float32), ("amp_bf16", torch.bfloat16), ("amp_fp16", torch.float16)],
)
def test_products_are_computed_in_the_configured_precision(precision: str, dtype: torch.dtype) -> None:
    assert computed(precision) == dtype


def test_autocast_stays_out_of_the_way_where_fsdp_casts_the_parameters() -> None:
    assert computed("amp_bf16", sharded_low=True) == torch.float32


@pytest.mark.parametrize(
    ("changes", "sharded_low", "sentence"),
    [
        ({"precision": "fp32"}, False, "computed in float32 (no casts), gradients float32, reduced in float32"),
        ({"precision": "amp_bf16"}, False, "computed in bfloat16 (autocast), gradients float32, reduced in float32"),
        (
            {"precision": "amp_bf16", "fsdp_config": {"mixed_precision": "PURE"}},
            True,
            "computed in bfloat16 (FSDP2 casts parameters), gradients float32, reduced in bfloat16",
        ),
        (
            {"precision": "amp_bf16", "fsdp_config": {"mixed_precision": "DEFAULT"}},
            True,
            "computed in bfloat16 (FSDP2 casts parameters), gradients float32, reduced in float32",
        ),
        (
            {"precision": "fp32", "fsdp_config": {"mixed_precision": "PURE"}},
            True,
            "computed in float32 (no casts), gradients float32, reduced in float32",
        ),
    ],
)
def test_the_dtypes_are_told_in_one_sentence(changes: dict[str, Any], sharded_low: bool, sentence: str) -> None:
    config = training_config(Path("gpt2"), changes)
    assert describe_dtypes(config, sharded_low=sharded_low) == f"parameters float32, {sentence}"


@pytest.mark.parametrize("precision", ["fp32", "amp_bf16"])
def test_only_float16_needs_a_scale(precision: str) -> None:
    scale = LossScale(precision)
    gradient = torch.ones(3)
    scale.unscale([gradient])
    assert (scale.enabled, scale.value) == (False, 1.0)
    assert gradient.tolist() == [1.0] * 3
    assert scale.accepts(finite=True, step=1)
    assert not scale.accepts(finite=False, step=1)


def test_a_scale_halves_at_an_overflow_and_doubles_after_two_thousand_good_steps() -> None:
    scale = LossScale("amp_fp16")
    assert not scale.accepts(finite=False, step=1)
    assert scale.value == 32768.0
    assert all(scale.accepts(finite=True, step=step) for step in range(2, 2001))
    assert scale.value == 32768.0
    assert scale.accepts(finite=True, step=2001)
    assert scale.value == 65536.0


def test_gradients_lose_the_scale() -> None:
    gradient = torch.full((2,), 65536.0)
    LossScale("amp_fp16").unscale([gradient])
    assert gradient.tolist() == [1.0, 1.0]


def test_overflows_count_as_divergence_only_in_a_row() -> None:
    scale = LossScale("amp_fp16")
    for _ in range(3):
        for step in range(1, SKIPS_BEFORE_DIVERGED):
            scale.accepts(finite=False, step=step)
        scale.accepts(finite=True, step=20)
    for step in range(1, SKIPS_BEFORE_DIVERGED):
        scale.accepts(finite=False, step=step)
    with pytest.raises(Diverged, match="20 steps in a row, the last of them 99") as caught:
        scale.accepts(finite=False, step=99)
    assert caught.value.step == 99


def test_a_restored_scale_goes_on_as_the_saved_one_would() -> None:
    saved, restored = LossScale("amp_fp16"), LossScale("amp_fp16")
    for finite in (False, True, True, False):
        saved.accepts(finite=finite, step=1)
    restored.restore(saved.state())
    assert restored.state() == saved.state()
    assert isinstance(restored.good_steps, int)
