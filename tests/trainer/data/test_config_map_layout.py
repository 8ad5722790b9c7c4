"""Volumes as Kubernetes makes them from ConfigMaps: files are links into a hidden directory, itself behind a link."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from finetune_api.config import TrainingConfig
from finetune_trainer.data import prepare
from finetune_trainer.data.fingerprint import code_identity

MakeConfig = Callable[..., TrainingConfig]
SomeRows = Callable[[int], list[dict[str, Any]]]


def config_map(directory: Path, files: dict[str, str], version: str = "..2026_01_31_12_00_00.1") -> Path:
    """Lay files out as the kubelet does."""
    (directory / version).mkdir(parents=True)
    (directory / "..data").symlink_to(version)
    for name, content in files.items():
        (directory / version / name).write_text(content)
        (directory / name).symlink_to(f"..data/{name}")
    return directory


@pytest.fixture
def data(tmp_path: Path, some_rows: SomeRows) -> Path:
    rows = "".join(f"{json.dumps(row)}\n" for row in some_rows(4))
    return config_map(tmp_path / "data", {"train.jsonl": rows})


@pytest.mark.parametrize(
    "where",
    [
        {"hf_kwargs": {"data_dir": "DATA"}},
        {"hf_name": "DATA", "hf_kwargs": {}},
        {"hf_kwargs": {"data_files": "DATA/*.jsonl"}},
        {"hf_kwargs": {"data_files": "DATA/**"}},
        {"hf_kwargs": {"data_files": "DATA/train.jsonl"}},
    ],
)
def test_each_file_is_read_once(tmp_path: Path, make_config: MakeConfig, data: Path, where: dict[str, Any]) -> None:
    settings = json.loads(json.dumps(where).replace("DATA", str(data)))
    assert prepare(make_config(**settings), tmp_path / "cache").splits["train"].rows == 4


def test_a_new_version_of_the_same_content_is_the_same_data(
    tmp_path: Path, make_config: MakeConfig, data: Path
) -> None:
    first = prepare(make_config(), tmp_path / "cache")
    content = {"train.jsonl": (data / "train.jsonl").read_text()}
    (data / "train.jsonl").unlink()
    (data / "..data").unlink()
    config_map(data, content, "..2026_02_01_12_00_00.2")
    assert prepare(make_config(), tmp_path / "cache").sha256 == first.sha256


def test_modules_of_the_user_are_found_and_counted_once(tmp_path: Path, make_config: MakeConfig, data: Path) -> None:
    source = "def pair(r):\n    return {'prompt': r['prompt'], 'response': r['response'] + '!'}\n"
    code = config_map(tmp_path / "code", {"rows.py": source})
    assert list(code_identity("rows:pair", code)) == ["rows.py"]
    config = make_config(preprocessing_fn="rows:pair")
    assert prepare(config, tmp_path / "cache", code_dir=code).splits["train"].rows == 4
