"""Where hub access is off, what was fetched into the hub's cache is loaded by its name on the hub."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from finetune_api.config import TrainingConfig
from finetune_api.errors import DatasetInvalid
from finetune_trainer.data import prepare

CARD = "---\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n    path: rows/one.jsonl\n---\n"


@pytest.fixture
def cached(tmp_path: Path, write_rows: Callable[..., Path], some_rows: Callable[..., Any], monkeypatch: Any) -> Path:
    """A dataset in a hub cache, laid out as `snapshot_download` does; its card names one of its two files."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    repository, commit = tmp_path / "hub/datasets--me--rows", "c" * 40
    write_rows(some_rows(3), f"hub/datasets--me--rows/snapshots/{commit}/rows/one.jsonl")
    write_rows(some_rows(5), f"hub/datasets--me--rows/snapshots/{commit}/rows/two.jsonl")
    (repository / f"snapshots/{commit}/README.md").write_text(CARD)
    (repository / "refs").mkdir()
    (repository / "refs/main").write_text(commit)
    return repository


@pytest.mark.usefixtures("cached")
def test_a_dataset_is_loaded_as_its_card_says(tmp_path: Path, make_config: Callable[..., TrainingConfig]) -> None:
    data = prepare(make_config(hf_name="me/rows", hf_kwargs={}), tmp_path / "cache")
    assert data.splits["train"].rows == 3


@pytest.mark.usefixtures("cached")
def test_a_revision_that_was_not_fetched_is_not_replaced_by_another(
    tmp_path: Path, make_config: Callable[..., TrainingConfig]
) -> None:
    config = make_config(hf_name="me/rows", hf_kwargs={"revision": "v2"})
    with pytest.raises(DatasetInvalid, match="not in the local cache, and hub access is off"):
        prepare(config, tmp_path / "cache")
