"""Save and load the state of a run with torch.distributed.checkpoint: sharded, atomic, on any number of ranks.

Checkpoints are read without trusting them: tensors come back with `weights_only`, and the index, which torch pickles,
may name nothing but the classes an index is made of.
"""

import enum
import io
import pickle
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.checkpoint import state_dict_loader, state_dict_saver
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.default_planner import DefaultLoadPlanner, DefaultSavePlanner
from torch.distributed.checkpoint.filesystem import FileSystemReader, FileSystemWriter
from torch.distributed.checkpoint.metadata import Metadata, StorageMeta
from torch.distributed.checkpoint.planner import ReadItem, WriteItem
from torch.distributed.checkpoint.state_dict import (
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.checkpoint.storage import WriteResult
from torch.futures import Future
from torch.optim import Optimizer
from transformers import PreTrainedModel

from finetune_api.errors import Retryable
from finetune_trainer.checkpoint.failure import Failure, not_saved
from finetune_trainer.checkpoint.manifest import checksum
from finetune_trainer.checkpoint.on_main import on_main
from finetune_trainer.directories import discard
from finetune_trainer.heartbeat import Heartbeat
from finetune_trainer.train.world import World

# Names, not whole modules: what a module imports is within reach of a pickle that may name the module.
_INDEX_NAMES = {
    ("torch.distributed.checkpoint.filesystem", "_StorageInfo"),
    ("torch.distributed.checkpoint.metadata", "BytesStorageMetadata"),
    ("torch.distributed.checkpoint.metadata", "ChunkStorageMetadata"),
    ("torch.distributed.checkpoint.metadata", "Metadata"),
    ("torch.distributed.checkpoint.metadata", "MetadataIndex"),
    ("torch.distributed.checkpoint.metadata", "StorageMeta"),
    ("torch.distributed.checkpoint.metadata", "TensorProperties"),
    ("torch.distributed.checkpoint.metadata", "TensorStorageMetadata"),
    ("torch.distributed.checkpoint.metadata", "_MEM_FORMAT_ENCODING"),
    ("torch", "Size"),
    ("torch.serialization", "_get_layout"),
    ("builtins", "set"),
    ("collections", "OrderedDict"),
    ("pathlib", "PosixPath"),
}


def save_state(model: PreTrainedModel, optimizer: Optimizer | None, directory: Path, world: World) -> dict[str, Any]:
    """Write every rank's part of the state below `directory` and return all files' checksums.

    Raises Retryable (DiskFull where that is why), on every rank, when any of them could not write, with the first
    reason; nothing is left then.
    """
    state = _tensors(model, optimizer)
    on_main(world, lambda: _make_way(directory))
    failure: Failure | None = None
    files: dict[str, Any] = {}
    try:
        writer = _Writer(directory, sync_files=True, overwrite=False)
        with _quietly():
            planner = _Planner(world.heart)
            state_dict_saver.save(state, storage_writer=writer, planner=planner, no_dist=not dist.is_initialized())
        world.heart.touch()
        files = _own_checksums(directory, world)
    except (CheckpointException, OSError) as error:
        failure = Failure.of(error)
    answers: list[tuple[Failure | None, dict[str, Any]]] = world.gather((failure, files))  # type: ignore[assignment]
    failures = [answer[0] for answer in answers if answer[0] is not None]
    if failures:
        if world.is_main:
            shutil.rmtree(directory, ignore_errors=True)
        raise not_saved(directory, *failures)
    return {name: entry for answer in answers for name, entry in answer[1].items()}


def _make_way(directory: Path) -> None:
    """Remove what a killed save of this very attempt left, or its weights alone, so that no half of it looks whole."""
    try:
        discard(directory)
    except OSError as error:
        raise not_saved(directory, Failure.of(error)) from error


def load_state(model: PreTrainedModel, optimizer: Optimizer | None, directory: Path, world: World) -> None:
    """Read the state below `directory` into the model, and the optimizer if given, whatever world wrote it.

    Raises Retryable when a file cannot be read.
    """
    state = _tensors(model, optimizer)
    try:
        reader = _GuardedReader(directory)
        with _quietly():
            state_dict_loader.load(
                state, storage_reader=reader, planner=_TensorsOnly(world.heart), no_dist=not dist.is_initialized()
            )
    except (CheckpointException, OSError) as error:
        raise Retryable(f"checkpoint {directory} could not be read: {Failure.of(error).words}") from error
    set_model_state_dict(model, state["model"])
    if optimizer is not None:
        groups = get_optimizer_state_dict(model, optimizer)["param_groups"]
        set_optimizer_state_dict(model, optimizer, {"state": state["optimizer"], "param_groups": groups})


def _tensors(model: PreTrainedModel, optimizer: Optimizer | None) -> dict[str, Any]:
    """Return what a checkpoint holds; learning rate, decay and the like are the configuration's to say."""
    state: dict[str, Any] = {"model": get_model_state_dict(model)}
    if optimizer is not None:
        _initialise(model, optimizer)
        state["optimizer"] = get_optimizer_state_dict(model, optimizer)["state"]
    return state


def _initialise(model: PreTrainedModel, optimizer: Optimizer) -> None:
    """Give an optimizer that has not stepped yet the state it would begin with.

    torch does that by a step at learning rate 0, which counts: taken back, a run saved before its first step goes on
    as if it had not been.
    """
    if optimizer.state:
        return
    get_optimizer_state_dict(model, optimizer)
    for state in optimizer.state.values():
        if "step" in state:
            state["step"].zero_()


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep torch from warning that one process is one process."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "torch.distributed is disabled", UserWarning)
        yield


class _Planner(DefaultSavePlanner):
    """Gives a sign of life for every tensor that is written."""

    def __init__(self, heart: Heartbeat) -> None:
        super().__init__()
        self._heart = heart

    def resolve_data(self, write_item: WriteItem) -> torch.Tensor | io.BytesIO:
        self._heart.touch()
        return super().resolve_data(write_item)


class _Writer(FileSystemWriter):
    """Writes torch's file layout, and lets the operating system say why it could not.

    torch's own word for a write that failed is "unexpected pos"; the reason is the error that it met on the way.
    """

    def write_data(self, *args: Any, **kwargs: Any) -> Future[list[WriteResult]]:
        try:
            return super().write_data(*args, **kwargs)
        except RuntimeError as error:
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise


def _own_checksums(directory: Path, world: World) -> dict[str, Any]:
    own = f"__{world.rank}_"
    names = [path.name for path in directory.iterdir() if path.name.startswith(own)]
    if world.is_main:
        names.append(".metadata")
    sums = {}
    for name in names:
        sums[name] = checksum(directory / name, world.heart.touch)
    return sums


class _IndexUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        is_dtype = module == "torch" and isinstance(getattr(torch, name, None), torch.dtype)
        if is_dtype or (module, name) in _INDEX_NAMES:
            return super().find_class(module, name)
        if (module, name) == ("builtins", "getattr"):
            return _enum_member
        raise pickle.UnpicklingError(f"a checkpoint's index may not name {module}.{name}")


def _enum_member(owner: object, name: str) -> object:
    """Stand in for `getattr`, by which some releases of Python 3.11 pickle members of enums."""
    if isinstance(owner, type) and issubclass(owner, enum.Enum) and name in owner.__members__:
        return owner[name]
    raise pickle.UnpicklingError(f"a checkpoint's index may not ask {owner!r} for {name}")


class _TensorsOnly(DefaultLoadPlanner):
    """Loads tensors, each of them a sign of life, and nothing else: torch unpickles other values without a guard."""

    def __init__(self, heart: Heartbeat) -> None:
        super().__init__()
        self._heart = heart

    def commit_tensor(self, read_item: ReadItem, tensor: torch.Tensor) -> None:
        super().commit_tensor(read_item, tensor)
        self._heart.touch()

    def load_bytes(self, read_item: ReadItem, value: io.BytesIO) -> None:
        raise pickle.UnpicklingError(f"{read_item.dest_index.fqn} is not a tensor")


class _GuardedReader(FileSystemReader):
    """Reads torch's file layout, but refuses an index that would run code."""

    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        raw = (Path(self.path) / ".metadata").read_bytes()
        try:
            metadata: Metadata = _IndexUnpickler(io.BytesIO(raw)).load()
        except (pickle.UnpicklingError, EOFError, ValueError) as error:
            raise Retryable(f"checkpoint {self.path}: its index is damaged: {error}") from error
        metadata.storage_meta = metadata.storage_meta or StorageMeta()
        metadata.storage_meta.load_id = self.load_id
        return metadata
