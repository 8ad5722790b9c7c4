import json
from collections.abc import Callable
from pathlib import Path

import pytest

from finetune_api.config import TrainingConfig
from finetune_api.errors import ConfigInvalid, ModelUnavailable
from finetune_trainer.data.tokenizer import load_tokenizer
from support.models import tiny_tokenizer

MakeConfig = Callable[..., TrainingConfig]


def test_a_missing_pad_token_becomes_the_eos_token(make_config: MakeConfig) -> None:
    tokenizer = load_tokenizer(make_config())
    assert tokenizer.pad_token_id == tokenizer.eos_token_id is not None


def test_a_missing_directory_is_said(make_config: MakeConfig, tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"tokenizer '.*/none': no such directory"):
        load_tokenizer(make_config(f"tokenizer.name={tmp_path}/none"))


def test_a_directory_without_a_tokenizer_is_said(make_config: MakeConfig, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    with pytest.raises(ModelUnavailable, match="tokenizer"):
        load_tokenizer(make_config(f"tokenizer.name={tmp_path}"))


def test_a_tokenizer_without_eos_is_refused(make_config: MakeConfig, tmp_path: Path) -> None:
    directory = tiny_tokenizer(tmp_path / "tokenizer")
    settings = {"tokenizer_class": "PreTrainedTokenizerFast"}
    (directory / "tokenizer_config.json").write_text(json.dumps(settings))
    with pytest.raises(ModelUnavailable, match=r"no EOS token.*Name one of its tokens"):
        load_tokenizer(make_config(f"tokenizer.name={directory}"))
    named = make_config(f"tokenizer.name={directory}", "tokenizer.kwargs.eos_token=<|endoftext|>")
    assert load_tokenizer(named).eos_token_id == 0


def test_special_tokens_that_the_dataset_names_must_be_the_tokenizers(make_config: MakeConfig) -> None:
    load_tokenizer(make_config(eos_token_id=0, bos_token_id=0))
    with pytest.raises(ConfigInvalid) as raised:
        load_tokenizer(make_config(eos_token_id=7, bos_token_id=8))
    assert [problem.path for problem in raised.value.problems] == [
        "train_loader.dataset.eos_token_id",
        "train_loader.dataset.bos_token_id",
    ]
    assert "7 is not the tokenizer's EOS token, which is 0" in str(raised.value)
