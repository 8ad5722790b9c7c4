from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from finetune_api.config import TrainingConfig
from finetune_trainer.data.recipe import Recipe, datasets_by_split
from finetune_trainer.data.source_files import DataFile, SourceFiles
from support.models import tiny_tokenizer

MakeConfig = Callable[..., TrainingConfig]
WriteRows = Callable[..., Path]
ROWS = [{"prompt": "p", "response": "r"}]


def sha(config: TrainingConfig, path: Path, *, dated: bool = False) -> str:
    files = {"train": SourceFiles("json", (DataFile("train", path),), True)}
    return Recipe.of(config, None).split_sha256(files, dated=dated)["train"]


def key(config: TrainingConfig) -> str:
    return Recipe.of(config, None).key


@pytest.mark.parametrize(
    "override",
    [
        "train_loader.dataset.shuffle_seed=7",
        "train_loader.dataset.shuffle=true",
        "train_loader.drop_last=true",
        "train_loader.num_workers=3",
        "global_train_batch_size=8",
        "seed=3",
        "optimizer.lr=0.5",
        "max_duration=3ep",
    ],
)
def test_what_cannot_change_tokens_does_not_change_the_hash(
    make_config: MakeConfig, write_rows: WriteRows, override: str
) -> None:
    path = write_rows(ROWS)
    assert sha(make_config(override), path) == sha(make_config(), path)
    assert key(make_config(override)) == key(make_config())


@pytest.mark.parametrize(
    "dataset",
    [
        {"max_seq_len": 32},
        {"target_prompts": "all"},
        {"target_prompts": "length>=3"},
        {"target_responses": "all"},
        {"split": "train[:1]"},
        {"preprocessing_fn": {"prompt": "prompt", "response": "response"}},
    ],
)
def test_what_changes_tokens_changes_the_hash(
    make_config: MakeConfig, write_rows: WriteRows, dataset: dict[str, Any]
) -> None:
    path = write_rows(ROWS)
    assert sha(make_config(**dataset), path) != sha(make_config(), path)


def test_data_counts_by_content_not_by_place_or_time(
    make_config: MakeConfig, write_rows: WriteRows, tmp_path: Path
) -> None:
    one, two = write_rows(ROWS), write_rows(ROWS, "other/train.jsonl")
    moved = make_config(hf_kwargs={"data_dir": str(tmp_path / "other")})
    assert sha(make_config(), one) == sha(moved, two)
    write_rows([*ROWS, *ROWS])
    assert sha(make_config(), one) != sha(moved, two)


def test_todays_date_counts_only_when_a_conversation_was_rendered_with_it(
    make_config: MakeConfig, write_rows: WriteRows, tmp_path: Path
) -> None:
    path = write_rows(ROWS)
    directory = tiny_tokenizer(tmp_path / "dated")
    (directory / "chat_template.jinja").write_text("{{ strftime_now('%d') }}")
    config = make_config(f"tokenizer.name={directory}")
    assert sha(config, path) != sha(config, path, dated=True)
    assert sha(make_config(), path) == sha(make_config(), path, dated=True)


def test_a_new_file_in_the_directory_asks_again_which_files_are_read(
    make_config: MakeConfig, write_rows: WriteRows
) -> None:
    write_rows(ROWS)
    before = key(make_config())
    write_rows(ROWS, "data/train-2.jsonl")
    assert key(make_config()) != before


def test_a_new_file_that_matches_a_pattern_asks_again(
    make_config: MakeConfig, write_rows: WriteRows, tmp_path: Path
) -> None:
    write_rows(ROWS)
    config = make_config(hf_kwargs={"data_files": str(tmp_path / "data/*.jsonl")})
    before = key(config)
    write_rows(ROWS, "data/more.txt")
    assert key(config) == before
    write_rows(ROWS, "data/more.jsonl")
    assert key(config) != before


def test_splits_are_train_and_the_labels_of_the_evaluations(make_config: MakeConfig) -> None:
    loader = "{name: finetuning, label: held_out, dataset: {hf_name: json, hf_kwargs: {data_dir: x}, split: train}}"
    assert list(datasets_by_split(make_config(f"eval_loader=[{loader}]"))) == ["train", "held_out"]
