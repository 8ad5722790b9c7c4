from typing import Any

import pytest

from finetune_api.config import HFCausalLM, MPTCausalLM, parse_training_config
from finetune_api.errors import ConfigInvalid
from support.training_files import minimal_config


def mpt(**changes: Any) -> dict[str, Any]:
    attention = {"alibi": True, "attn_impl": "flash", **changes.pop("attn_config", {})}
    model = {"name": "mpt_causal_lm", "d_model": 32, "n_heads": 2, "n_layers": 2, "attn_config": attention}
    return {**minimal_config(), "model": {**model, **changes}}


def problem(document: dict[str, Any]) -> str:
    with pytest.raises(ConfigInvalid) as caught:
        parse_training_config(document)
    (found,) = caught.value.problems
    return str(found)


def test_overrides_of_a_pretrained_mpt_are_taken_as_they_are() -> None:
    overrides = {"max_seq_len": 2048, "attn_config": {"attn_impl": "flash", "attn_uses_sequence_id": False}}
    model = {
        "name": "hf_causal_lm",
        "pretrained_model_name_or_path": "mosaicml/mpt-7b",
        "pretrained": True,
        "config_overrides": overrides,
        "init_device": "mixed",
    }
    config = parse_training_config({**minimal_config(), "model": model}).config
    assert isinstance(config.model, HFCausalLM)
    assert config.model.config_overrides == overrides


def test_an_mpt_with_alibi_and_expansion_4_is_accepted() -> None:
    model = parse_training_config(mpt(expansion_ratio=4, vocab_size=50368, no_bias=True, resid_pdrop=0.0)).config.model
    assert isinstance(model, MPTCausalLM)
    assert (model.d_model, model.vocab_size, model.max_seq_len) == (32, 50368, None)


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"expansion_ratio": 2}, "model.expansion_ratio"),
        ({"learned_pos_emb": True}, "model.learned_pos_emb"),
        ({"no_bias": False}, "model.no_bias"),
        ({"resid_pdrop": 0.1}, "model.resid_pdrop"),
        ({"ffn_config": {"ffn_type": "mptglu"}}, "model.ffn_config"),
        ({"norm_type": "rmsnorm"}, "model.norm_type"),
        ({"attn_config": {"alibi": False}}, "model.attn_config.alibi"),
        ({"attn_config": {"rope": True}}, "model.attn_config.rope"),
        ({"attn_config": {"qk_ln": True}}, "model.attn_config.qk_ln"),
        ({"attn_config": {"attn_type": "grouped_query_attention"}}, "model.attn_config.attn_type"),
        ({"attn_config": {"kv_n_heads": 1}}, "model.attn_config.kv_n_heads"),
        ({"attn_config": {"attn_pdrop": 0.1}}, "model.attn_config.attn_pdrop"),
        ({"attn_config": {"alibi_bias_max": 16}}, "model.attn_config.alibi_bias_max"),
    ],
)
def test_what_transformers_mpt_would_silently_ignore_is_refused_by_name(changes: dict[str, Any], path: str) -> None:
    found = problem(mpt(**changes))
    assert found.startswith(f"{path}: ")
    assert "not supported; " in found


def test_alibi_must_be_written() -> None:
    assert problem(mpt(attn_config={"alibi": None})) == "model.attn_config.alibi: required key is missing"


def test_heads_must_divide_the_width() -> None:
    assert problem(mpt(n_heads=3)) == "model.n_heads: 3 heads do not divide d_model, 32"


def test_an_unknown_kind_of_model_names_the_known_ones() -> None:
    found = problem({**minimal_config(), "model": {"name": "hf_casual_lm"}})
    assert found.startswith("model.name: expected one of hf_causal_lm, mpt_causal_lm, got 'hf_casual_lm'")
    assert found.endswith("did you mean hf_causal_lm?")
    assert problem({**minimal_config(), "model": {}}) == "model.name: required key is missing"
