import json
from collections.abc import Iterator
from typing import Any

import pytest

from finetune_api.config import TrainingConfig, parse_training_config
from finetune_api.config.section import Section, child_sections
from finetune_api.durations import Duration
from finetune_api.errors import ConfigInvalid
from support.training_files import full_config, minimal_config


def sections(model: type[Section]) -> Iterator[type[Section]]:
    yield model
    for children in child_sections(model).values():
        for child in children:
            yield from sections(child)


@pytest.mark.parametrize("model", sorted(set(sections(TrainingConfig)), key=str))
def test_every_key_of_every_part_has_a_description(model: type[Section]) -> None:
    assert model.__doc__
    assert [name for name, field in model.model_fields.items() if not field.description] == []


def test_the_configuration_has_a_json_schema_with_descriptions() -> None:
    schema = TrainingConfig.model_json_schema()
    assert schema["properties"]["max_duration"]["description"]
    json.dumps(schema)


def test_defaults_are_those_of_the_documentation() -> None:
    config = parse_training_config(minimal_config()).config
    assert (config.seed, config.dist_timeout, config.precision) == (17, 600.0, "amp_bf16")
    assert (config.eval_interval, config.save_interval) == (Duration(1, "ep"), Duration(1000, "ba"))
    assert (config.optimizer.lr, config.optimizer.betas, config.optimizer.weight_decay) == (1e-3, (0.9, 0.95), 1e-5)
    assert (config.device_train_microbatch_size, config.save_num_checkpoints_to_keep) == (None, -1)
    dataset = config.train_loader.dataset
    assert (dataset.shuffle_seed, dataset.target_prompts, dataset.target_responses) == (0, "none", "last")
    assert dataset.allow_pad_trimming is None


def test_resolved_values_are_plain_json() -> None:
    resolved = parse_training_config(full_config()).config.resolved()
    assert json.loads(json.dumps(resolved)) == resolved
    assert resolved["max_duration"] == "1ep"
    assert "save_folder" not in resolved


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("max_duration", "0ep", "longer than nothing"),
        ("max_duration", "1dur", "fraction of itself"),
        ("max_duration", "soon", "is not a duration"),
        ("global_train_batch_size", 8.5, "expected a whole number"),
        ("global_train_batch_size", "8", "write it without quotes"),
        ("global_train_batch_size", True, "expected a whole number"),
        ("precision", "bf16", "expected one of amp_bf16, fp32, amp_fp16, got 'bf16'"),
        ("eval_subset_num_batches", 0, "expected -1"),
        ("save_interval", 0, "longer than nothing"),
        ("eval_first", "yes", "expected true or false"),
        ("seed", -1, "at least 0"),
        ("dist_timeout", float("nan"), "finite"),
        ("model", "gpt2", "expected a mapping"),
        ("train_loader", [], "expected a mapping"),
        ("metadata", 3, "expected a mapping"),
        ("save_folder", "", "must not be empty"),
    ],
)
def test_a_wrong_value_is_answered_with_what_was_expected(key: str, value: Any, sentence: str) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        parse_training_config({**minimal_config(), key: value})
    (problem,) = caught.value.problems
    assert problem.path == key
    assert sentence in str(problem)


def test_whole_numbers_serve_where_fractions_are_meant() -> None:
    overrides = ["optimizer.lr=1", "scheduler.alpha_f=0", "dist_timeout=3600", "train_loader.timeout=0"]
    assert parse_training_config(minimal_config(), overrides).config.optimizer.lr == 1.0


def test_a_lone_evaluation_without_a_label_is_called_eval() -> None:
    loader = {"name": "finetuning", "dataset": {"hf_name": "json", "split": "validation"}}
    config = parse_training_config({**minimal_config(), "eval_loader": loader}).config
    assert list(config.eval_loaders_by_label) == ["eval"]
    config = parse_training_config({**minimal_config(), "eval_loaders": [{**loader, "label": "x"}]}).config
    assert list(config.eval_loaders_by_label) == ["x"]
    assert parse_training_config(minimal_config()).config.eval_loaders_by_label == {}
