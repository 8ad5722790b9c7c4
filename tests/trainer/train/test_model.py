"""The model of a run: found, overridden, checked against the data, loaded in fp32."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import MptConfig, MptForCausalLM, PreTrainedModel

from finetune_api.config import TrainingConfig
from finetune_api.errors import ConfigInvalid, ModelUnavailable
from finetune_trainer.train.model import check_fits, export_dtype, load_model, load_model_config, meta_model
from support.training import load_gpt2, same, training_config, weights


def config_of(directory: Path | str, **model: Any) -> TrainingConfig:
    named = {"name": "hf_causal_lm", "pretrained_model_name_or_path": str(directory), **model}
    return training_config(Path("gpt2"), {"model": named})


def load(config: TrainingConfig) -> PreTrainedModel:
    return load_model(config, load_model_config(config))


@pytest.fixture
def copied(gpt2_dir: Path, tmp_path: Path) -> Path:
    """A copy of the model directory that a test may damage."""
    return shutil.copytree(gpt2_dir, tmp_path / "model")


def test_overrides_replace_values_of_the_config(gpt2_dir: Path) -> None:
    found = load_model_config(config_of(gpt2_dir, config_overrides={"resid_pdrop": 0.3, "attn_pdrop": 0}))
    assert (found.resid_pdrop, found.attn_pdrop, found.embd_pdrop) == (0.3, 0, 0.0)


def test_overrides_reach_into_nested_configs_and_keep_the_rest(tmp_path: Path) -> None:
    MptConfig(d_model=32, n_heads=2, n_layers=2, attn_config={"softmax_scale": 0.5}).save_pretrained(tmp_path)
    overrides = {"max_seq_len": 64, "attn_config": {"attn_impl": "flash", "attn_uses_sequence_id": False}}
    found = load_model_config(config_of(tmp_path, config_overrides=overrides))
    assert found.max_seq_len == 64
    assert (found.attn_config.attn_impl, found.attn_config.softmax_scale) == ("flash", 0.5)


def test_overrides_are_merged_into_mappings(tmp_path: Path) -> None:
    from transformers import LlamaConfig

    LlamaConfig(hidden_size=32, rope_parameters={"rope_type": "default", "rope_theta": 1e4}).save_pretrained(tmp_path)
    overrides = {"rope_parameters": {"rope_theta": 5e5}}
    found = load_model_config(config_of(tmp_path, config_overrides=overrides))
    assert found.rope_parameters == {"rope_type": "default", "rope_theta": 5e5}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"n_layres": 3}, r"model\.config_overrides\.n_layres: GPT2Config has no such setting.*n_layer"),
        ({"to_dict": 3}, r"model\.config_overrides\.to_dict: GPT2Config has no such setting"),
        ({"n_layer": "two"}, r"model\.config_overrides\.n_layer: 'two' is not possible: .*expected int"),
    ],
)
def test_an_override_that_cannot_be_is_a_mistake_with_its_path(
    overrides: dict[str, Any], message: str, gpt2_dir: Path
) -> None:
    with pytest.raises(ConfigInvalid, match=message):
        load_model_config(config_of(gpt2_dir, config_overrides=overrides))


def test_an_unknown_nested_override_is_named_in_full(tmp_path: Path) -> None:
    MptConfig(d_model=32, n_heads=2, n_layers=2).save_pretrained(tmp_path)
    overrides = {"attn_config": {"atn_impl": "flash"}}
    with pytest.raises(ConfigInvalid, match=r"model\.config_overrides\.attn_config\.atn_impl: .*attn_impl"):
        load_model_config(config_of(tmp_path, config_overrides=overrides))


def test_a_directory_that_is_missing_is_an_unavailable_model(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="no such directory"):
        load_model_config(config_of(tmp_path / "nowhere"))


def test_a_directory_without_a_config_is_an_unavailable_model(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable):
        load_model_config(config_of(tmp_path))


def test_a_directory_without_weights_is_an_unavailable_model(copied: Path) -> None:
    (copied / "model.safetensors").unlink()
    with pytest.raises(ModelUnavailable):
        load(config_of(copied))


def test_weights_that_are_pickled_are_not_read(copied: Path) -> None:
    torch.save(load_file(copied / "model.safetensors"), copied / "pytorch_model.bin")
    (copied / "model.safetensors").unlink()
    with pytest.raises(ModelUnavailable):
        load(config_of(copied))


def test_weights_that_lack_a_layer_are_an_unavailable_model(copied: Path) -> None:
    tensors = load_file(copied / "model.safetensors")
    kept = {name: tensor for name, tensor in tensors.items() if "h.1.mlp" not in name}
    save_file(kept, copied / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelUnavailable, match=r"lacks 4 weights, first transformer\.h\.1\.mlp"):
        load(config_of(copied))


def test_weights_of_another_shape_are_named_with_both_shapes(gpt2_dir: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"shape \(346, 32\) for transformer\.wte\.weight.*\(500, 32\)"):
        load(config_of(gpt2_dir, config_overrides={"vocab_size": 500}))


def test_a_truncated_file_of_weights_is_an_unavailable_model(copied: Path) -> None:
    with (copied / "model.safetensors").open("r+b") as file:
        file.truncate(5000)
    with pytest.raises(ModelUnavailable):
        load(config_of(copied))


def test_a_checkpoint_in_bfloat16_gets_master_weights_in_float32_and_is_exported_as_it_came(
    gpt2_dir: Path, tmp_path: Path
) -> None:
    low = load_gpt2(gpt2_dir).to(torch.bfloat16)
    low.save_pretrained(tmp_path)
    config = config_of(tmp_path)
    found = load_model_config(config)
    assert export_dtype(config, found) == torch.bfloat16
    model = load_model(config, found)
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert same(weights(model), {name: tensor.float() for name, tensor in weights(low).items()})


def test_an_architecture_alone_gets_random_weights_that_the_seed_decides(gpt2_dir: Path) -> None:
    config = config_of(gpt2_dir, pretrained=False)
    state = torch.get_rng_state()
    first, second = load(config), load(config)
    assert torch.equal(torch.get_rng_state(), state)
    assert same(weights(first), weights(second))
    assert not same(weights(first), weights(load_gpt2(gpt2_dir)))
    assert not same(weights(first), weights(load(config.model_copy(update={"seed": 18}))))
    assert export_dtype(config, load_model_config(config)) == torch.float32


def test_an_mpt_is_transformers_own(tmp_path: Path) -> None:
    named = {
        "name": "mpt_causal_lm",
        "d_model": 32,
        "n_heads": 4,
        "n_layers": 2,
        "vocab_size": 100,
        "norm_eps": 1e-6,
        "attn_config": {"alibi": True, "attn_impl": "flash", "clip_qkv": 6.0},
    }
    config = training_config(Path("gpt2"), {"model": named})
    found = load_model_config(config)
    assert (found.d_model, found.n_heads, found.n_layers, found.vocab_size) == (32, 4, 2, 100)
    assert (found.max_seq_len, found.layer_norm_epsilon) == (32, 1e-6)
    assert (found.attn_config.alibi, found.attn_config.clip_qkv) == (True, 6.0)
    model = load_model(config, found)
    assert isinstance(model, MptForCausalLM)
    assert model.lm_head.weight is model.transformer.wte.weight
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_the_attention_that_the_file_names_is_used(gpt2_dir: Path) -> None:
    assert load(config_of(gpt2_dir, attn_implementation="eager")).config._attn_implementation == "eager"


def test_the_structure_on_the_meta_device_has_no_memory_and_tied_weights(gpt2_dir: Path) -> None:
    config = config_of(gpt2_dir)
    model = meta_model(config, load_model_config(config))
    assert {p.device.type for p in model.parameters()} == {"meta"}
    assert model.lm_head.weight is model.transformer.wte.weight


def test_what_fits_is_let_through(gpt2_dir: Path) -> None:
    config = training_config(gpt2_dir, {"max_seq_len": 128})
    check_fits(config, load_model_config(config), 345)


def test_a_token_beyond_the_vocabulary_is_a_mistake(gpt2_dir: Path) -> None:
    config = training_config(gpt2_dir)
    with pytest.raises(ConfigInvalid, match=r"tokenizer\.name: .*token id 346.*vocabulary has 346"):
        check_fits(config, load_model_config(config), 346)


def test_a_sequence_beyond_the_positions_is_a_mistake(gpt2_dir: Path, tmp_path: Path) -> None:
    config = training_config(gpt2_dir, {"max_seq_len": 129})
    with pytest.raises(ConfigInvalid, match=r"^max_seq_len: 129 is beyond the model's 128 positions"):
        check_fits(config, load_model_config(config), 0)
    with pytest.raises(ConfigInvalid, match=r"^max_seq_len: 129 is beyond the model's 100 positions"):
        check_fits(config, MptConfig(max_seq_len=100), 0)


def test_a_loader_with_longer_rows_than_the_model_has_positions_is_named(gpt2_dir: Path) -> None:
    dataset = {"hf_name": "json", "split": "test", "max_seq_len": 200}
    loader = {"name": "finetuning", "label": "long", "dataset": dataset}
    config = training_config(gpt2_dir, {"eval_loader": [loader]})
    with pytest.raises(ConfigInvalid, match=r"^eval_loader \(long\)\.dataset\.max_seq_len: 200 is beyond"):
        check_fits(config, load_model_config(config), 0)


def test_a_model_without_a_limit_of_positions_takes_any_length(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bloom", "vocab_size": 50}))
    config = training_config(tmp_path, {"max_seq_len": 100_000})
    check_fits(config, load_model_config(config), 49)
