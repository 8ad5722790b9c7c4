"""Paths of a configuration on this machine."""

from pathlib import Path
from typing import Any

import pytest

from finetune_api.config import parse_training_config
from finetune_cli.mounts import Mount
from finetune_cli.paths import Places, localise
from support.configs import training


@pytest.fixture
def places(tmp_path: Path) -> Places:
    for name in ("cwd", "folder", "volume"):
        (tmp_path / name).mkdir()
    mounts = (Mount("/data", tmp_path / "volume"),)
    return Places(mounts, tmp_path / "cwd", tmp_path / "folder")


def data_dir(config: dict[str, Any]) -> str:
    return str(config["train_loader"]["dataset"]["hf_kwargs"]["data_dir"])


def test_a_relative_path_means_the_working_directory_first(places: Places) -> None:
    (places.working_directory / "data").mkdir()
    (places.folder / "data").mkdir()
    assert data_dir(localise(training(), places)) == str(places.working_directory / "data")


def test_a_relative_path_means_the_files_own_directory_next(places: Places) -> None:
    (places.folder / "data").mkdir()
    assert data_dir(localise(training(), places)) == str(places.folder / "data")


def test_what_exists_nowhere_is_left_alone(places: Places) -> None:
    changed = localise(training(), places)
    assert data_dir(changed) == "data"
    assert changed["tokenizer"]["name"] == "tiny"


def test_a_local_directory_is_as_good_as_a_hub_name(places: Places) -> None:
    (places.folder / "tiny").mkdir()
    changed = localise(training(), places)
    assert changed["model"]["pretrained_model_name_or_path"] == str(places.folder / "tiny")
    assert changed["tokenizer"]["name"] == str(places.folder / "tiny")


def test_absolute_paths_below_a_mount_lie_in_its_directory(places: Places) -> None:
    assert places.resolve("/data/train/a.jsonl") == str(places.mounts[0].directory / "train/a.jsonl")
    assert places.resolve("/data") == str(places.mounts[0].directory)
    assert places.resolve("/database") == "/database"


def test_data_files_may_be_a_list_a_mapping_or_a_pattern(places: Places) -> None:
    for name in ("a.jsonl", "b.jsonl"):
        (places.folder / name).touch()
    config = training()
    files = {"train": ["a.jsonl", "*.jsonl"], "test": "b.jsonl", "other": "https://host/c.jsonl"}
    config["train_loader"]["dataset"]["hf_kwargs"] = {"data_files": files}
    changed = localise(config, places)["train_loader"]["dataset"]["hf_kwargs"]["data_files"]
    folder = places.folder
    assert changed == {
        "train": [f"{folder}/a.jsonl", f"{folder}/*.jsonl"],
        "test": f"{folder}/b.jsonl",
        "other": "https://host/c.jsonl",
    }


def test_data_files_within_a_data_dir_stay_relative_to_it(places: Places) -> None:
    (places.folder / "data").mkdir()
    (places.working_directory / "a.jsonl").touch()
    config = training()
    config["train_loader"]["dataset"]["hf_kwargs"] = {"data_dir": "data", "data_files": "a.jsonl"}
    changed = localise(config, places)["train_loader"]["dataset"]["hf_kwargs"]
    assert changed == {"data_dir": str(places.folder / "data"), "data_files": "a.jsonl"}


def test_a_directory_named_like_a_file_format_does_not_hide_the_format(places: Places) -> None:
    (places.working_directory / "json").mkdir()
    assert localise(training(), places)["train_loader"]["dataset"]["hf_name"] == "json"


def test_the_paths_of_every_evaluation_are_found(places: Places) -> None:
    (places.folder / "data").mkdir()
    loader = {**training()["train_loader"], "label": "dev"}
    config = parse_training_config(training(eval_loader=[loader])).config.resolved()
    changed = localise(config, places)
    assert changed["eval_loader"][0]["dataset"]["hf_kwargs"]["data_dir"] == str(places.folder / "data")
    assert parse_training_config(changed).config.eval_loaders_by_label.keys() == {"dev"}
