import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from finetune_api.config import TrainingConfig
from finetune_api.errors import DatasetInvalid, Retryable
from finetune_trainer.data.source import load_source
from finetune_trainer.data.source_errors import explaining
from finetune_trainer.data.source_files import find_files

MakeConfig = Callable[..., TrainingConfig]
WriteRows = Callable[..., Path]
ROWS = [{"prompt": "p", "response": "r"}]


def find(config: TrainingConfig) -> None:
    find_files(config.train_loader.dataset)


@pytest.mark.parametrize(
    ("kwargs", "said"),
    [
        ({"data_dir": "dta"}, r"data_dir: dta: no such directory \(seen from .*\). Did you mean data\?"),
        ({"data_dir": "data/train.jsonl"}, "is a file, not a directory.* Name a file in hf_kwargs.data_files"),
        ({"data_dir": "data", "data_files": "tran.jsonl"}, r"no such file. Did you mean train.jsonl\?"),
        ({"data_files": "data"}, "is a directory, not a file.* Name it in hf_kwargs.data_dir"),
        ({"data_files": {"train": ["data/none.jsonl"]}}, "data/none.jsonl: no such file"),
        ({"data_files": [{"split": "train", "path": "nothing"}]}, "nothing: no such file"),
        ({"data_files": "data/*.csv"}, r"json: data/\*.csv: no file matches"),
        ({}, "hf_name: json says which format to read, but not which files"),
    ],
)
def test_what_is_named_and_missing_is_said(
    tmp_path: Path,
    make_config: MakeConfig,
    write_rows: WriteRows,
    monkeypatch: pytest.MonkeyPatch,
    kwargs: dict[str, Any],
    said: str,
) -> None:
    write_rows(ROWS)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DatasetInvalid, match=said):
        find(make_config(hf_kwargs=kwargs))


def test_an_empty_directory_is_said(tmp_path: Path, make_config: MakeConfig) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(DatasetInvalid, match="the directory holds no data files"):
        find(make_config())


def test_a_missing_local_dataset_directory_is_said(tmp_path: Path, make_config: MakeConfig) -> None:
    with pytest.raises(DatasetInvalid, match=r"hf_name: .*nowhere: no such directory"):
        find(make_config(hf_name=str(tmp_path / "nowhere"), hf_kwargs={}))


@pytest.mark.parametrize("split", ["tran", "tran[:3]", "validation"])
def test_an_unknown_split_names_those_that_exist(make_config: MakeConfig, write_rows: WriteRows, split: str) -> None:
    write_rows(ROWS)
    write_rows(ROWS, "data/test.jsonl")
    name = split.partition("[")[0]
    with pytest.raises(DatasetInvalid, match=f"no split '{name}'; there is train and test"):
        find(make_config(split=split))


def test_a_malformed_split_is_said(tmp_path: Path, make_config: MakeConfig, write_rows: WriteRows) -> None:
    write_rows(ROWS)
    dataset = make_config(split="train[1").train_loader.dataset
    with pytest.raises(DatasetInvalid, match=r"train\[1"):
        load_source(dataset, find_files(dataset), tmp_path)


def test_a_hub_dataset_that_is_not_cached_is_an_error_while_the_hub_is_off(make_config: MakeConfig) -> None:
    dataset = make_config(hf_name="someone/rows", hf_kwargs={}).train_loader.dataset
    with (
        pytest.raises(DatasetInvalid, match="someone/rows: not in the local cache, and hub access is off"),
        explaining(dataset),
    ):
        raise ConnectionError("Couldn't reach 'someone/rows' on the Hub (LocalEntryNotFoundError)")


@pytest.mark.parametrize(
    ("error", "expected", "said"),
    [
        (ConnectionError("Couldn't reach the Hub"), Retryable, "the hub cannot be reached"),
        (OSError(errno.ENOSPC, "No space left on device"), Retryable, "the disk is full"),
        (ValueError("weird option"), DatasetInvalid, "someone/rows: weird option"),
    ],
)
def test_what_datasets_raises_becomes_an_outcome(
    make_config: MakeConfig,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    expected: type[Exception],
    said: str,
) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE")
    dataset = make_config(hf_name="someone/rows", hf_kwargs={}).train_loader.dataset
    with pytest.raises(expected, match=said), explaining(dataset):
        raise error
