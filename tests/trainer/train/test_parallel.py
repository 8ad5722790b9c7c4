"""How a model is spread, as far as one rank can tell; what several ranks do is shown in tests/distributed."""

from pathlib import Path
from typing import Any

import pytest
import torch

from finetune_trainer.train.model import load_model_config
from finetune_trainer.train.parallel import blocks, build_model, is_sharded, mixed_precision
from support.training import ALONE, load_gpt2, same, tiny_llama, tiny_mpt, training_config, weights


def config(changes: dict[str, Any]) -> Any:
    return training_config(Path("gpt2"), changes)


@pytest.mark.parametrize(
    ("settings", "sharded"),
    [
        (None, False),
        ({}, True),
        ({"sharding_strategy": "SHARD_GRAD_OP"}, True),
        ({"sharding_strategy": "NO_SHARD"}, False),
    ],
)
def test_a_model_is_sharded_when_fsdp_is_asked_to(settings: dict[str, Any] | None, sharded: bool) -> None:
    assert is_sharded(config({} if settings is None else {"fsdp_config": settings})) is sharded


@pytest.mark.parametrize(
    ("precision", "named", "computed", "reduced"),
    [
        ("amp_bf16", "PURE", torch.bfloat16, torch.bfloat16),
        ("amp_bf16", "DEFAULT", torch.bfloat16, torch.float32),
        ("amp_bf16", "FULL", None, None),
        ("fp32", "PURE", None, None),
    ],
)
def test_the_old_names_of_mixed_precision_say_what_is_computed_and_reduced(
    precision: str, named: str, computed: torch.dtype | None, reduced: torch.dtype | None
) -> None:
    policy = mixed_precision(config({"precision": precision, "fsdp_config": {"mixed_precision": named}}))
    assert (policy.param_dtype, policy.reduce_dtype) == (computed, reduced)


def test_the_repeated_blocks_of_each_architecture_are_found(gpt2_dir: Path) -> None:
    for model, kind in (
        (load_gpt2(gpt2_dir), "GPT2Block"),
        (tiny_llama(), "LlamaDecoderLayer"),
        (tiny_mpt(), "MptBlock"),
    ):
        assert [type(block).__name__ for block in blocks(model)] == [kind] * 2


def test_an_unsharded_model_is_the_loaded_one(gpt2_dir: Path) -> None:
    asked = training_config(gpt2_dir)
    model = build_model(asked, load_model_config(asked), ALONE)
    assert same(weights(model), weights(load_gpt2(gpt2_dir)))
    assert not model.is_activation_checkpointing


def test_activation_checkpointing_changes_no_gradient(gpt2_dir: Path) -> None:
    asked = {"sharding_strategy": "NO_SHARD", "activation_checkpointing": True}
    config_with = training_config(gpt2_dir, {"fsdp_config": asked})
    plain, sparing = load_gpt2(gpt2_dir), build_model(config_with, load_model_config(config_with), ALONE)
    assert sparing.is_activation_checkpointing
    ids = torch.tensor([[1, 2, 3, 4]])
    for model in (plain, sparing):
        model.train()
        model(input_ids=ids, labels=ids, use_cache=False).loss.backward()
    for first, second in zip(plain.parameters(), sparing.parameters(), strict=True):
        assert torch.equal(first.grad, second.grad)
