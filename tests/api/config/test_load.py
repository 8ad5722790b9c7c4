import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune_api.config import LoadedConfig, TrainingConfig, load_training_config, parse_training_config
from finetune_api.durations import Duration
from finetune_api.errors import ConfigInvalid
from finetune_api.manifest import load_file
from support.training_files import full_config, minimal_config

EXAMPLES = sorted((Path(__file__).parents[3] / "examples" / "arc-easy").glob("*.yaml"))


def problems(document: Any, *overrides: str) -> list[str]:
    with pytest.raises(ConfigInvalid) as caught:
        parse_training_config(document, overrides)
    return [str(problem) for problem in caught.value.problems]


def test_three_mistakes_are_named_at_once_with_paths_and_suggestions() -> None:
    document = full_config()
    document["train_loader"]["dataset"]["hf_nmae"] = document["train_loader"]["dataset"].pop("hf_name")
    document["optimizer"]["lr"] = "fast"
    document["scheduler"]["t_max"] = "0.5dur"
    assert problems(document) == [
        "train_loader.dataset.hf_nmae: unknown key; did you mean hf_name?",
        "optimizer.lr: expected a number, got 'fast'",
        "scheduler.t_max: 0.5dur ends before max_duration, 1ep; "
        "leave t_max out to reach the final learning rate at the end of the run",
    ]


@pytest.mark.parametrize("key", list(minimal_config()))
def test_each_required_key_is_asked_for_when_missing(key: str) -> None:
    document = minimal_config()
    del document[key]
    assert problems(document) == [f"{key}: required key is missing"]


def test_null_counts_as_not_given() -> None:
    config = parse_training_config({**minimal_config(), "eval_loader": None, "seed": None, "run_name": None}).config
    assert (config.eval_loader, config.seed, config.run_name) == (None, 17, None)
    assert problems({**minimal_config(), "model": None}) == ["model: required key is missing"]


def test_the_dataset_inherits_the_length_of_the_run() -> None:
    config = parse_training_config(full_config(), ["max_seq_len=99"]).config
    assert config.train_loader.dataset.max_seq_len == 512
    assert config.eval_loaders_by_label["validation"].dataset.max_seq_len == 99


def test_a_wrong_length_is_one_mistake_not_one_per_dataset() -> None:
    assert problems({**minimal_config(), "max_seq_len": 0}) == ["max_seq_len: must be greater than 0, got 0"]
    assert problems({**minimal_config(), "max_seq_len": "x"}) == ["max_seq_len: expected a whole number, got 'x'"]


def test_variables_and_other_keys_can_be_referred_to() -> None:
    document = {
        **minimal_config(),
        "variables": {"seeds": {"global": 5}},
        "seed": "${variables.seeds.global}",
        "tokenizer": {"name": "${model.pretrained_model_name_or_path}"},
    }
    config = parse_training_config(document).config
    assert (config.seed, config.tokenizer.name) == (5, "gpt2")


def test_a_free_top_level_key_is_a_variable_when_something_refers_to_it() -> None:
    config = parse_training_config({**minimal_config(), "global_seed": 5, "seed": "${global_seed}"}).config
    assert (config.seed, config.variables) == (5, {"global_seed": 5})


def test_an_override_may_take_away_the_only_use_of_a_variable() -> None:
    document = {**minimal_config(), "global_seed": 5, "seed": "${global_seed}"}
    assert parse_training_config(document, ["seed=3"]).config.seed == 3


def test_a_free_top_level_key_that_nothing_refers_to_is_a_mistake() -> None:
    (problem,) = problems({**minimal_config(), "global_seed": 5})
    assert problem.startswith("global_seed: unknown key")


def test_a_top_level_key_that_holds_an_anchor_is_a_variable() -> None:
    text = """
shared: &shared {hf_name: json, hf_kwargs: {data_dir: /data}}
train_loader: &train {name: finetuning, dataset: {<<: *shared, split: train}, drop_last: true}
eval_loader: {<<: *train, dataset: {<<: *shared, split: validation}}
model: {name: hf_causal_lm, pretrained_model_name_or_path: gpt2}
tokenizer: {name: gpt2}
optimizer: {name: decoupled_adamw, lr: 6e-4}
scheduler: {name: linear_decay_with_warmup, t_warmup: 0ba, alpha_f: 0}
max_duration: 1ep
max_seq_len: 128
global_train_batch_size: 8
"""
    config = parse_training_config(text).config
    assert config.eval_loaders_by_label["eval"].drop_last
    assert config.optimizer.lr == 6e-4
    assert "shared" in config.variables


def test_a_reference_to_nothing_names_its_key_and_the_nearest_name() -> None:
    document = {**minimal_config(), "global_seed": 5, "seed": "${global_sed}"}
    assert any(
        problem.startswith("seed: '${global_sed}' refers to a key that does not exist; did you mean global_seed?")
        for problem in problems(document)
    )


@pytest.mark.parametrize(
    "value", ["${seed}", "${model}", "${", "${nope:1}", "${oc.env:HOME}", "???", "${model.${seed}}"]
)
def test_a_hopeless_reference_is_a_mistake_and_not_a_crash(value: str) -> None:
    assert any(problem.startswith("seed: ") for problem in problems({**minimal_config(), "seed": value}))


def test_mappings_that_contain_each_other_are_a_mistake() -> None:
    assert problems({**minimal_config(), "metadata": {"me": "${metadata}"}})


def test_overrides_come_before_references() -> None:
    document = {**minimal_config(), "tokenizer": {"name": "gpt2", "kwargs": {"model_max_length": "${max_seq_len}"}}}
    overrides = ["max_seq_len=64", "optimizer.lr=1e-4", "eval_loader=null", "model.config_overrides.attn_pdrop=0"]
    config = parse_training_config(document, overrides).config
    assert config.tokenizer.kwargs == {"model_max_length": 64}
    assert config.optimizer.lr == 1e-4
    assert config.model.config_overrides == {"attn_pdrop": 0}  # type: ignore[union-attr]


def test_overrides_reach_into_lists_and_may_hold_an_equals_sign() -> None:
    overrides = ["eval_loader[0].drop_last=true", "train_loader.dataset.target_prompts=length>=7"]
    config = parse_training_config(full_config(), overrides).config
    assert config.eval_loaders_by_label["validation"].drop_last
    assert config.train_loader.dataset.target_prompts == "length>=7"


@pytest.mark.parametrize("override", ["seed", "=1", "seed=[", "eval_loader[9].label=x", ""])
def test_an_override_that_cannot_be_applied_is_named(override: str) -> None:
    assert problems(full_config(), override)[0].startswith(override or "not an override")


def test_a_misspelt_override_is_named_with_the_nearest_key() -> None:
    assert problems(full_config(), "optimizer.weigth_decay=1") == [
        "optimizer.weigth_decay: unknown key; did you mean weight_decay?"
    ]


def test_the_run_takes_its_name_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUN_NAME", "tuesday")
    path = tmp_path / "run.yaml"
    path.write_text(str(minimal_config()))
    assert load_training_config(path).config.run_name == "tuesday"
    assert load_training_config(path, ["run_name=monday"]).config.run_name == "monday"
    assert parse_training_config(minimal_config()).config.run_name is None


def test_only_a_file_may_read_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA", "/somewhere")
    path = tmp_path / "run.yaml"
    path.write_text(str({**minimal_config(), "metadata": {"data": "${oc.env:DATA}"}}))
    assert load_training_config(path).config.metadata == {"data": "/somewhere"}
    assert "environment" in problems(path.read_text())[0]


@pytest.mark.parametrize("document", ["", "a: 1\n---\nb: 2", "[]", "text", [], 3])
def test_what_is_no_mapping_is_a_mistake(document: Any) -> None:
    assert problems(document)


@pytest.mark.parametrize("document", [minimal_config(), full_config()])
def test_a_resolved_configuration_loads_into_an_equal_one(document: dict[str, Any]) -> None:
    config = parse_training_config(document).config
    assert parse_training_config(config.resolved()) == LoadedConfig(config)


@pytest.mark.parametrize("path", EXAMPLES, ids=[path.stem for path in EXAMPLES])
def test_resolved_examples_load_into_equal_configurations(path: Path) -> None:
    config = load_file(path).training_config().config
    assert parse_training_config(json.dumps(config.resolved())).config == config


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from(["\\", "${", "}", "seed", " "]), max_size=6).map("".join))
def test_text_that_looks_like_a_reference_survives_resolving(text: str) -> None:
    config = parse_training_config(minimal_config()).config.model_copy(update={"metadata": {"note": text}})
    assert parse_training_config(config.resolved()).config.metadata == {"note": text}


def test_the_configuration_is_a_value() -> None:
    config = parse_training_config(minimal_config()).config
    assert config == parse_training_config(minimal_config()).config
    assert isinstance(config, TrainingConfig)
    assert config.scheduler.t_max == Duration(1, "dur")
