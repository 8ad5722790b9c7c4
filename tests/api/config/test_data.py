import pytest

from finetune_api.config import parse_training_config
from finetune_api.errors import ConfigInvalid
from support.training_files import minimal_config

DATASET = "train_loader.dataset"


@pytest.mark.parametrize(
    "value",
    ["preprocessing:f", "a.b.c:f", "{prompt: question, response: answer}", "{prompt: a, completion: b}", "null"],
)
def test_a_preprocessing_function_is_named_or_mapped(value: str) -> None:
    assert parse_training_config(minimal_config(), [f"{DATASET}.preprocessing_fn={value}"])


@pytest.mark.parametrize(
    "value", ["f", "a/b.py:f", "a:", "{prompt: a}", "{prompt: 1, response: b}", "{prompt: a, answer: b}", "3", "[a]"]
)
def test_anything_else_is_no_preprocessing_function(value: str) -> None:
    with pytest.raises(ConfigInvalid, match="write module:function, or"):
        parse_training_config(minimal_config(), [f"{DATASET}.preprocessing_fn={value}"])


@pytest.mark.parametrize("value", ["none", "all", "length>=128"])
def test_target_prompts_may_be_none_all_or_long_ones(value: str) -> None:
    dataset = parse_training_config(minimal_config(), [f"{DATASET}.target_prompts={value}"]).config.train_loader.dataset
    assert dataset.target_prompts == value


@pytest.mark.parametrize("value", ["some", "length>128", "length>=0", "length>=x", "3"])
def test_other_target_prompts_are_a_mistake(value: str) -> None:
    with pytest.raises(ConfigInvalid, match="length>=N"):
        parse_training_config(minimal_config(), [f"{DATASET}.target_prompts={value}"])
