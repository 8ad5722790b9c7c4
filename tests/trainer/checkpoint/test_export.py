"""The exported model: what Hugging Face's own loaders read, and never half of it."""

import errno
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from finetune_api.errors import Retryable, Superseded
from finetune_trainer.checkpoint.export import export_model, plan_shards
from finetune_trainer.fence import Fence
from finetune_trainer.train.attention import use_per_row_attention
from finetune_trainer.train.world import World
from support.power import Disk
from support.training import ALONE, Pulse, load_gpt2, same, tiny_llama, tiny_mpt, weights

WITHOUT_EXTRAS = """
import sys

sys.modules["accelerate"] = None  # only the benchmarks have it
from pathlib import Path
from transformers import AutoTokenizer
from finetune_trainer.checkpoint.export import export_model
from support.training import ALONE, UNRIVALLED, load_gpt2
import torch

source, destination = map(Path, sys.argv[1:])
tokenizer = AutoTokenizer.from_pretrained(source)
export_model(load_gpt2(source), tokenizer, destination, ALONE, dtype=torch.float32, fence=UNRIVALLED)
"""


def nothing() -> None:
    """A guard with no objection."""


def export(
    model: PreTrainedModel,
    source: Path,
    destination: Path,
    guard: Callable[[], None] = nothing,
    world: World = ALONE,
    **options: Any,
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(source)
    export_model(model, tokenizer, destination, world, fence=Fence(0, guard), **{"dtype": torch.float32, **options})


def reloaded(directory: Path) -> PreTrainedModel:
    model, report = AutoModelForCausalLM.from_pretrained(directory, output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    return model


@given(sizes=st.lists(st.integers(0, 50), max_size=20), limit=st.integers(1, 60))
def test_shards_keep_the_order_and_stay_below_the_limit_unless_one_tensor_alone_is_larger(
    sizes: list[int], limit: int
) -> None:
    named = {f"tensor{i}": size for i, size in enumerate(sizes)}
    shards = plan_shards(named, limit)
    assert [name for shard in shards for name in shard] == list(named)
    for shard in shards:
        assert sum(named[name] for name in shard) <= limit or len([name for name in shard if named[name]]) == 1
    for before, after in pairwise(shards):
        assert sum(named[name] for name in before) + named[after[0]] > limit  # no file more than needed


@pytest.mark.parametrize("shard_bytes", [5 << 30, 40_000])
def test_an_exported_model_loads_and_equals_the_trained_one(shard_bytes: int, gpt2_dir: Path, tmp_path: Path) -> None:
    model = load_gpt2(gpt2_dir)
    export(model, gpt2_dir, tmp_path / "model", shard_bytes=shard_bytes)
    files = sorted(path.name for path in (tmp_path / "model").glob("*.safetensors"))
    assert len(files) > 3 if shard_bytes == 40_000 else files == ["model.safetensors"]
    assert same(weights(reloaded(tmp_path / "model")), weights(model))


def test_its_files_may_be_read_by_whom_the_process_lets(gpt2_dir: Path, tmp_path: Path) -> None:
    before = os.umask(0o002)
    try:
        export(load_gpt2(gpt2_dir), gpt2_dir, tmp_path)
    finally:
        os.umask(before)
    assert {file.stat().st_mode & 0o777 for file in tmp_path.rglob("*.*") if file.is_file()} == {0o664}


def test_the_index_of_several_files_names_every_tensor_and_its_bytes(gpt2_dir: Path, tmp_path: Path) -> None:
    export(load_gpt2(gpt2_dir), gpt2_dir, tmp_path / "model", shard_bytes=40_000)
    index = json.loads((tmp_path / "model" / "model.safetensors.index.json").read_text())
    held = {file: load_file(tmp_path / "model" / file) for file in set(index["weight_map"].values())}
    assert {name: file for file, tensors in held.items() for name in tensors} == index["weight_map"]
    total = sum(tensor.nbytes for tensors in held.values() for tensor in tensors.values())
    assert index["metadata"]["total_size"] == total
    assert {path.name for path in (tmp_path / "model").glob("*.safetensors")} == set(held)


def test_tied_weights_are_written_once(gpt2_dir: Path, tmp_path: Path) -> None:
    export(load_gpt2(gpt2_dir), gpt2_dir, tmp_path / "model")
    written = load_file(tmp_path / "model" / "model.safetensors")
    assert "transformer.wte.weight" in written
    assert "lm_head.weight" not in written
    model = reloaded(tmp_path / "model")
    assert model.lm_head.weight is model.transformer.wte.weight


@pytest.mark.parametrize("make", [tiny_llama, tiny_mpt])
def test_other_architectures_load_too(make: Callable[[], PreTrainedModel], gpt2_dir: Path, tmp_path: Path) -> None:
    export(make(), gpt2_dir, tmp_path / "model", shard_bytes=30_000)
    assert same(weights(reloaded(tmp_path / "model")), weights(make()))


def test_the_dtype_is_the_one_asked_for_in_files_and_config(gpt2_dir: Path, tmp_path: Path) -> None:
    model = load_gpt2(gpt2_dir)
    export(model, gpt2_dir, tmp_path / "model", dtype=torch.bfloat16)
    assert {tensor.dtype for tensor in load_file(tmp_path / "model" / "model.safetensors").values()} == {torch.bfloat16}
    assert reloaded(tmp_path / "model").dtype == torch.bfloat16
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_the_attention_of_training_is_not_part_of_the_model(gpt2_dir: Path, tmp_path: Path) -> None:
    model = load_gpt2(gpt2_dir)
    assert use_per_row_attention(model)
    export(model, gpt2_dir, tmp_path / "model")
    assert "finetune" not in (tmp_path / "model" / "config.json").read_text()
    ids = torch.tensor([[1, 2, 3]])
    assert torch.equal(reloaded(tmp_path / "model")(ids).logits, load_gpt2(gpt2_dir)(ids).logits)


def test_the_tokenizer_goes_with_the_model(gpt2_dir: Path, tmp_path: Path) -> None:
    export(load_gpt2(gpt2_dir), gpt2_dir, tmp_path / "model")
    text = "What do we call frozen water?"
    assert AutoTokenizer.from_pretrained(tmp_path / "model")(text) == AutoTokenizer.from_pretrained(gpt2_dir)(text)


def test_generation_settings_that_came_with_the_model_are_kept_however_odd(gpt2_dir: Path, tmp_path: Path) -> None:
    settings = {"do_sample": False, "temperature": 0.9, "eos_token_id": 0, "max_new_tokens": 7}
    model = load_gpt2(gpt2_dir)
    (tmp_path / "generation_config.json").write_text(json.dumps(settings))
    model.generation_config = type(model.generation_config).from_pretrained(tmp_path)
    export(model, gpt2_dir, tmp_path / "model")
    assert json.loads((tmp_path / "model" / "generation_config.json").read_text())["max_new_tokens"] == 7


def test_a_new_export_replaces_the_old_one_whole(gpt2_dir: Path, tmp_path: Path) -> None:
    model = load_gpt2(gpt2_dir)
    export(model, gpt2_dir, tmp_path / "model", shard_bytes=40_000)
    with torch.no_grad():
        model.transformer.ln_f.bias.add_(1)
    export(model, gpt2_dir, tmp_path / "model")
    assert not (tmp_path / "model" / "model.safetensors.index.json").exists()
    assert same(weights(reloaded(tmp_path / "model")), weights(model))
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_an_attempt_that_was_overtaken_puts_nothing_in_place(gpt2_dir: Path, tmp_path: Path) -> None:
    model = load_gpt2(gpt2_dir)
    export(model, gpt2_dir, tmp_path / "model")
    before = (tmp_path / "model" / "model.safetensors").read_bytes()

    def overtaken() -> None:
        raise Superseded("a newer attempt owns the output")

    with torch.no_grad():
        model.transformer.ln_f.bias.add_(1)
    with pytest.raises(Retryable, match="a newer attempt"):
        export(model, gpt2_dir, tmp_path / "model", guard=overtaken)
    assert (tmp_path / "model" / "model.safetensors").read_bytes() == before


def test_the_guard_is_asked_once_everything_is_written(gpt2_dir: Path, tmp_path: Path) -> None:
    seen: list[set[str]] = []

    def look() -> None:
        assert not (tmp_path / "model").exists()
        seen.append({path.name for path in (tmp_path / ".model.attempt-0000.draft").iterdir()})

    export(load_gpt2(gpt2_dir), gpt2_dir, tmp_path / "model", guard=look)
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= seen[-1]


def test_a_loss_of_power_takes_nothing_of_an_exported_model(
    gpt2_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk().install(monkeypatch)
    export(load_gpt2(gpt2_dir), gpt2_dir, tmp_path / "model", shard_bytes=40_000)
    assert disk.lost(tmp_path) == []


def test_every_file_is_a_sign_of_life(gpt2_dir: Path, tmp_path: Path) -> None:
    heart = Pulse()
    world = replace(ALONE, heart=heart)
    export(load_gpt2(gpt2_dir), gpt2_dir, tmp_path / "model", world=world, shard_bytes=40_000)
    assert heart.touches == len(list((tmp_path / "model").glob("*.safetensors"))) > 3


def test_a_disk_that_does_not_take_what_was_written_is_retryable(
    gpt2_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(Retryable, match=r"model .* could not be exported: .*Input/output error"):
        export(load_gpt2(gpt2_dir), gpt2_dir, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_retryable_and_leaves_the_old_model_and_no_draft(gpt2_dir: Path, tmp_path: Path) -> None:
    model = load_gpt2(gpt2_dir)
    export(model, gpt2_dir, tmp_path / "model")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, before[1]))  # what is longer cannot be written
    try:
        with pytest.raises(Retryable, match=r"model .* could not be exported: .*File too large"):
            export(model, gpt2_dir, tmp_path / "model")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert same(weights(reloaded(tmp_path / "model")), weights(model))


def test_a_volume_gone_read_only_does_not_hide_why_the_export_failed(
    gpt2_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, target: Path) -> Path:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    def fail_and_turn_read_only(*_: Any, **__: Any) -> None:
        monkeypatch.setattr(Path, "rename", refuse)
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("finetune_trainer.checkpoint.export.save_file", fail_and_turn_read_only)
    with pytest.raises(Retryable, match=r"model .* could not be exported: .*Input/output error"):
        export(load_gpt2(gpt2_dir), gpt2_dir, tmp_path / "model")


@pytest.mark.distributed
def test_an_export_needs_nothing_that_only_the_benchmarks_install(gpt2_dir: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", WITHOUT_EXTRAS, str(gpt2_dir), str(tmp_path / "model")]
    tests = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=tests, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert same(weights(reloaded(tmp_path / "model")), weights(load_gpt2(gpt2_dir)))
