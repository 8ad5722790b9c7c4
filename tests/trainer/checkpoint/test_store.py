"""Saving and loading the state of a run: exact, verified, and without trusting what is read."""

import os
import pickle
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.distributed.checkpoint import state_dict_saver
from torch.distributed.checkpoint.metadata import _MEM_FORMAT_ENCODING, TensorProperties
from torch.optim import Optimizer
from transformers import PreTrainedModel

from finetune_api.errors import Retryable
from finetune_trainer.checkpoint.failure import DiskFull
from finetune_trainer.checkpoint.manifest import checksum
from finetune_trainer.checkpoint.store import load_state, save_state
from finetune_trainer.train.optimizers import build_optimizer
from support.training import ALONE, Pulse, load_gpt2, same, training_config, weights

OPTIMIZERS = ["decoupled_adamw", "adamw", "decoupled_lionw"]


def trainable(directory: Path, name: str = "decoupled_adamw", lr: float = 1e-2) -> tuple[PreTrainedModel, Optimizer]:
    model = load_gpt2(directory)
    return model, build_optimizer(training_config(directory, {"optimizer": {"name": name, "lr": lr}}), model)


def train(model: PreTrainedModel, optimizer: Optimizer, steps: int) -> None:
    ids = torch.tensor([[1, 2, 3, 4]])
    for _ in range(steps):
        optimizer.zero_grad()
        model(input_ids=ids, labels=ids, use_cache=False).loss.backward()
        optimizer.step()


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """Let writing fail beyond `size` bytes of a file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_every_tensor_that_is_written_and_every_file_that_is_hashed_is_a_sign_of_life(
    gpt2_dir: Path, tmp_path: Path
) -> None:
    heart = Pulse()
    model, optimizer = trainable(gpt2_dir)
    files = save_state(model, optimizer, tmp_path / "saved", replace(ALONE, heart=heart))
    assert heart.touches > len(files) + 3 * len(list(model.parameters()))  # a parameter and its two moments


def test_every_tensor_that_is_read_is_a_sign_of_life(gpt2_dir: Path, tmp_path: Path) -> None:
    model, optimizer = trainable(gpt2_dir)
    save_state(model, optimizer, tmp_path / "saved", ALONE)
    heart = Pulse()
    load_state(model, optimizer, tmp_path / "saved", replace(ALONE, heart=heart))
    assert heart.touches >= 3 * len(list(model.parameters()))  # a parameter and its two moments


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_weights_and_optimizer_come_back_bit_by_bit(name: str, gpt2_dir: Path, tmp_path: Path) -> None:
    model, optimizer = trainable(gpt2_dir, name)
    train(model, optimizer, 3)
    save_state(model, optimizer, tmp_path / "saved", ALONE)
    other, other_optimizer = trainable(gpt2_dir, name)
    load_state(other, other_optimizer, tmp_path / "saved", ALONE)
    assert same(weights(model), weights(other))
    for first, second in zip(model.parameters(), other.parameters(), strict=True):
        ours, theirs = optimizer.state[first], other_optimizer.state[second]
        assert same(ours, theirs)
    train(model, optimizer, 2)
    train(other, other_optimizer, 2)
    assert same(weights(model), weights(other))


def test_saving_before_the_first_step_changes_nothing(gpt2_dir: Path, tmp_path: Path) -> None:
    model, optimizer = trainable(gpt2_dir)
    plain, plain_optimizer = trainable(gpt2_dir)
    save_state(model, optimizer, tmp_path / "saved", ALONE)
    assert same(weights(model), weights(plain))
    train(model, optimizer, 2)
    train(plain, plain_optimizer, 2)
    assert same(weights(model), weights(plain))


def test_weights_alone_leave_the_optimizer_as_it_is(gpt2_dir: Path, tmp_path: Path) -> None:
    model, optimizer = trainable(gpt2_dir)
    train(model, optimizer, 1)
    save_state(model, None, tmp_path / "saved", ALONE)
    other, other_optimizer = trainable(gpt2_dir)
    load_state(other, None, tmp_path / "saved", ALONE)
    assert same(weights(model), weights(other))
    assert not other_optimizer.state


def test_learning_rate_and_decay_are_those_of_the_configuration_not_of_the_checkpoint(
    gpt2_dir: Path, tmp_path: Path
) -> None:
    model, optimizer = trainable(gpt2_dir, lr=1e-2)
    train(model, optimizer, 1)
    save_state(model, optimizer, tmp_path / "saved", ALONE)
    other, other_optimizer = trainable(gpt2_dir, lr=5e-4)
    expected = [{**group, "params": []} for group in other_optimizer.param_groups]
    load_state(other, other_optimizer, tmp_path / "saved", ALONE)
    assert [{**group, "params": []} for group in other_optimizer.param_groups] == expected


def test_every_file_is_listed_with_its_checksum_and_intact(gpt2_dir: Path, tmp_path: Path) -> None:
    model, optimizer = trainable(gpt2_dir)
    files = save_state(model, optimizer, tmp_path / "saved", ALONE)
    assert set(files) == {path.name for path in (tmp_path / "saved").iterdir()}
    assert all(checksum(tmp_path / "saved" / name) == entry for name, entry in files.items())


def test_what_a_killed_save_left_is_replaced(gpt2_dir: Path, tmp_path: Path) -> None:
    leftover = tmp_path / "saved" / "__9_9.distcp"
    leftover.parent.mkdir()
    leftover.write_bytes(b"half")
    save_state(*trainable(gpt2_dir), tmp_path / "saved", ALONE)
    assert not leftover.exists()


def test_a_write_that_fails_is_retryable_says_why_and_leaves_nothing(gpt2_dir: Path, tmp_path: Path) -> None:
    model, optimizer = trainable(gpt2_dir)
    with files_up_to(40_000), pytest.raises(Retryable, match=r"could not be saved: .*File too large") as failed:
        save_state(model, optimizer, tmp_path / "saved", ALONE)
    assert not isinstance(failed.value, DiskFull)
    assert not (tmp_path / "saved").exists()
    save_state(model, optimizer, tmp_path / "saved", ALONE)


def test_a_folder_that_cannot_be_made_is_retryable(gpt2_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("a file")
    with pytest.raises(Retryable, match="could not be saved: NotADirectoryError"):
        save_state(*trainable(gpt2_dir), tmp_path / "folder" / "saved", ALONE)


def test_a_checkpoint_that_is_gone_is_retryable(gpt2_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(Retryable, match=r"could not be read: .*No such file"):
        load_state(*trainable(gpt2_dir), tmp_path / "nowhere", ALONE)


class Evil:
    """Makes a directory when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = str(mark)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.mark,)


def naming(module: str, name: str, argument: str) -> bytes:
    """Return a pickle that calls `module.name(argument)`, where the name may have dots."""
    texts = [b"\x8c" + bytes([len(text)]) + text.encode() for text in (module, name, argument)]
    return b"\x80\x04" + texts[0] + texts[1] + b"\x93" + texts[2] + b"\x85R."


@pytest.mark.parametrize("way", ["plain", "through_a_module_that_is_trusted", "through_an_import_of_it"])
def test_an_index_that_would_run_code_is_refused(way: str, gpt2_dir: Path, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    save_state(*trainable(gpt2_dir), tmp_path / "saved", ALONE)
    trusted = "torch.distributed.checkpoint.filesystem"
    pickles = {
        "plain": pickle.dumps(Evil(mark)),
        "through_a_module_that_is_trusted": naming(trusted, "os.mkdir", str(mark)),
        "through_an_import_of_it": naming(trusted, "FileSystemWriter", str(mark)),
    }
    (tmp_path / "saved" / ".metadata").write_bytes(pickles[way])
    with pytest.raises(Retryable, match="index may not name"):
        load_state(*trainable(gpt2_dir), tmp_path / "saved", ALONE)
    assert not mark.exists()


def test_the_pickles_above_would_run_code_were_they_trusted(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    pickle.loads(naming("torch.distributed.checkpoint.filesystem", "os.mkdir", str(mark)))
    assert mark.is_dir()


@pytest.mark.filterwarnings("ignore:torch.distributed is disabled")
def test_a_value_in_place_of_a_tensor_is_not_unpickled(gpt2_dir: Path, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    model, _ = trainable(gpt2_dir)
    state: dict[str, Any] = {"model": dict(model.state_dict()) | {"transformer.ln_f.bias": Evil(mark)}}
    state_dict_saver.save(state, checkpoint_id=tmp_path / "saved", no_dist=True)
    shutil.rmtree(mark, ignore_errors=True)
    with pytest.raises(Retryable, match=r"transformer\.ln_f\.bias is not a tensor"):
        load_state(model, None, tmp_path / "saved", ALONE)
    assert not mark.exists()


@pytest.mark.parametrize("content", [b"", b"not a pickle", b"\x80\x04K\x01"])
def test_an_index_that_is_damaged_is_retryable(content: bytes, gpt2_dir: Path, tmp_path: Path) -> None:
    save_state(*trainable(gpt2_dir), tmp_path / "saved", ALONE)
    (tmp_path / "saved" / ".metadata").write_bytes(content)
    with pytest.raises(Retryable, match="could not be read"):
        load_state(*trainable(gpt2_dir), tmp_path / "saved", ALONE)


class Asking:
    """Is what `getattr(owner, name)` is when it is unpickled."""

    def __init__(self, owner: object, name: str) -> None:
        self.asked = owner, name

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, self.asked


def test_members_of_enums_may_be_pickled_by_name_as_some_pythons_do(gpt2_dir: Path, tmp_path: Path) -> None:
    save_state(*trainable(gpt2_dir), tmp_path / "saved", ALONE)
    file = tmp_path / "saved" / ".metadata"
    index = pickle.loads(file.read_bytes())
    found = [entry for entry in index.state_dict_metadata.values() if hasattr(entry, "properties")]
    for entry in found:
        # As TensorProperties.__getstate__ does it, but for the enum.
        state = list(entry.properties.__getstate__())
        state[3] = Asking(_MEM_FORMAT_ENCODING, "TORCH_CONTIGUOUS_FORMAT")
        entry.properties = _Stated(tuple(state))
    file.write_bytes(pickle.dumps(index))
    assert b"getattr" in file.read_bytes()
    load_state(*trainable(gpt2_dir), tmp_path / "saved", ALONE)


class _Stated:
    """Unpickles as tensor properties with this state."""

    def __init__(self, state: tuple[object, ...]) -> None:
        self.state = state

    def __reduce__(self) -> tuple[Any, ...]:
        return TensorProperties, (), self.state


def test_nothing_else_may_be_asked_for_by_name(gpt2_dir: Path, tmp_path: Path) -> None:
    save_state(*trainable(gpt2_dir), tmp_path / "saved", ALONE)
    (tmp_path / "saved" / ".metadata").write_bytes(pickle.dumps(Asking(TensorProperties, "__init__")))
    with pytest.raises(Retryable, match="index may not ask"):
        load_state(*trainable(gpt2_dir), tmp_path / "saved", ALONE)
