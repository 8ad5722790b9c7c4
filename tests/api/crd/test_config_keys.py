from typing import Any

from finetune_api.config import TrainingConfig
from finetune_api.crd import job_schema
from finetune_api.crd.config_keys import config_keys
from support.schemas import schemas_below, value_mistakes
from support.training_files import full_config, minimal_config

CONFIG = job_schema()["properties"]["spec"]["properties"]["config"]
FREE = {"description", "properties", "nullable", "x-kubernetes-preserve-unknown-fields"}


def at(path: str) -> Any:
    schema = CONFIG
    for step in path.split("."):
        schema = schema["properties"][step]
    return schema


def test_every_key_is_described_and_nothing_else_is_said_of_it() -> None:
    keys = [(path, schema) for path, schema in schemas_below({"properties": CONFIG["properties"]}) if path]
    assert len(keys) > 100
    for path, schema in keys:
        assert schema["description"], path
        assert set(schema) <= FREE, path
        assert schema["x-kubernetes-preserve-unknown-fields"] is True, path
        assert schema["nullable"] is True, path  # or the API server would drop `lr_monitor:` with nothing after it


def test_every_key_of_the_training_file_is_there() -> None:
    assert set(CONFIG["properties"]) == set(TrainingConfig.model_fields)
    assert CONFIG["type"] == "object"
    assert CONFIG["x-kubernetes-preserve-unknown-fields"] is True


def test_keys_are_described_down_to_the_last_mapping() -> None:
    assert at("callbacks.hf_checkpointer.save_interval")["description"].startswith("How often; 1dur: at the end.")
    assert at("train_loader.dataset.hf_name")["description"].endswith("(text; required)")


def test_a_description_ends_with_the_values_and_the_default() -> None:
    assert at("seed")["description"].endswith("(integer ≥ 0; default `17`)")


def test_what_a_key_means_in_each_form_of_a_mapping_is_told_apart() -> None:
    assert at("model.name")["description"] == "The kind of model. (`hf_causal_lm` or `mpt_causal_lm`; required)"
    description = at("optimizer.lr")["description"]
    assert "decoupled_lionw: Peak learning rate. (number > 0; default `0.0001`)" in description
    assert "decoupled_adamw" in description


def test_what_means_the_same_in_all_forms_is_told_once() -> None:
    assert at("optimizer.disable_grad")["description"].count("Regular expressions") == 1


def test_files_as_people_write_them_fit() -> None:
    odd = {"max_seq_len": "${variables.n}", "eval_loader": None, "max_duration": 1, "unknown": {"a": [1]}}
    callbacks = {"callbacks": {"lr_monitor": None}, "train_loader": "see below"}
    for config in (minimal_config(), full_config(), {**minimal_config(), **odd, **callbacks}):
        assert list(value_mistakes(CONFIG, config, "config")) == []


def test_no_section_gives_no_keys() -> None:
    assert config_keys() == {}
