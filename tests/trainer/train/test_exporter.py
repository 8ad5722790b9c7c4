"""Which models a run leaves, where, and in which dtype."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoTokenizer

from finetune_api.errors import Superseded
from finetune_trainer.fence import Fence
from finetune_trainer.train.exporter import Exporter
from finetune_trainer.train.state import TrainState
from finetune_trainer.train.timeline import Timeline
from support.training import UNRIVALLED, load_gpt2, training_config, training_state


def exporter(directory: Path, output: Path, dtype: torch.dtype = torch.float32) -> Exporter:
    return Exporter(output, AutoTokenizer.from_pretrained(directory), dtype, UNRIVALLED)


def state(directory: Path, checkpointer: dict[str, Any] | None = None) -> TrainState:
    callbacks = {} if checkpointer is None else {"hf_checkpointer": checkpointer}
    return training_state(
        training_config(directory, {"callbacks": callbacks, "max_duration": "2ep"}), load_gpt2(directory)
    )


def exported(run: TrainState, made: Exporter, output: Path) -> list[str]:
    """Go through a run of 2 x 3 batches and return the directories with a model in them."""
    timeline = Timeline.of(run.config, np.ones(12, dtype=np.int64))
    for done in range(timeline.total_batches + 1):
        if destination := made.due(run, timeline, done):
            made.export(run, destination)
    return sorted(str(path.parent.relative_to(output)) for path in output.rglob("model.safetensors"))


def dtypes(directory: Path) -> set[torch.dtype]:
    return {tensor.dtype for tensor in load_file(directory / "model.safetensors").values()}


def test_without_the_callback_there_is_only_the_final_model(gpt2_dir: Path, tmp_path: Path) -> None:
    run, made = state(gpt2_dir), exporter(gpt2_dir, tmp_path)
    assert exported(run, made, tmp_path) == []
    assert made.export_final(run) == tmp_path / "model"
    assert dtypes(tmp_path / "model") == {torch.float32}


def test_models_on_the_way_are_named_by_batch_and_the_last_is_left_to_the_end(gpt2_dir: Path, tmp_path: Path) -> None:
    run = state(gpt2_dir, {"save_interval": "2ba"})
    assert exported(run, exporter(gpt2_dir, tmp_path), tmp_path) == ["huggingface/ba2", "huggingface/ba4"]


def test_folder_and_name_are_configurable(gpt2_dir: Path, tmp_path: Path) -> None:
    settings = {
        "save_interval": "1ep",
        "save_folder": str(tmp_path / "models"),
        "huggingface_folder_name": "epoch{epoch}",
    }
    run = state(gpt2_dir, settings)
    assert exported(run, exporter(gpt2_dir, tmp_path), tmp_path) == ["models/epoch1"]


def test_the_source_s_dtype_is_kept_unless_another_is_named(gpt2_dir: Path, tmp_path: Path) -> None:
    made = exporter(gpt2_dir, tmp_path, torch.bfloat16)
    made.export_final(state(gpt2_dir))
    assert dtypes(tmp_path / "model") == {torch.bfloat16}
    made.export_final(state(gpt2_dir, {"precision": "float16"}))
    assert dtypes(tmp_path / "model") == {torch.float16}


def test_an_attempt_that_was_overtaken_exports_nothing(gpt2_dir: Path, tmp_path: Path) -> None:
    def overtaken() -> None:
        raise Superseded("a newer attempt owns the output")

    made = Exporter(tmp_path, AutoTokenizer.from_pretrained(gpt2_dir), torch.float32, Fence(0, overtaken))
    with pytest.raises(Superseded):
        made.export_final(state(gpt2_dir))
    assert not (tmp_path / "model").exists()


def test_an_export_that_may_not_be_replaced_stays(gpt2_dir: Path, tmp_path: Path) -> None:
    run, made = state(gpt2_dir, {"save_interval": "2ba", "overwrite": False}), exporter(gpt2_dir, tmp_path)
    exported(run, made, tmp_path)
    before = (tmp_path / "huggingface" / "ba2" / "model.safetensors").stat().st_ino
    exported(run, made, tmp_path)
    assert (tmp_path / "huggingface" / "ba2" / "model.safetensors").stat().st_ino == before
