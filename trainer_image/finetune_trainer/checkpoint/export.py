"""Write the trained model as sharded safetensors that `from_pretrained` loads, without gathering it on one rank."""

import copy
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.distributed.tensor import DTensor
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

from finetune_api.errors import Retryable, RunError, Superseded
from finetune_trainer.checkpoint.failure import Failure
from finetune_trainer.checkpoint.on_main import on_main
from finetune_trainer.directories import sync, withdraw
from finetune_trainer.fence import Fence
from finetune_trainer.train.world import World

INTERMEDIATE = "huggingface"
"""Where in the output the models lie that are exported on the way, unless `hf_checkpointer` names a folder."""

SHARD_BYTES = 5 << 30

Shard = list[str]


def export_model(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    destination: Path,
    world: World,
    *,
    dtype: torch.dtype,
    fence: Fence,
    shard_bytes: int = SHARD_BYTES,
) -> None:
    """Write config, tokenizer and weights to `destination`, which appears only when it loads without a missing key.

    Each rank writes its share of the files and holds one file's tensors at a time. Raises Retryable if the disk fails,
    Superseded when a newer attempt owns the output.
    """
    draft = on_main(world, lambda: _begin(destination, fence))
    answers = world.gather(_attempt(lambda: _write_weights(model, draft, world, dtype, shard_bytes), fence))
    problem = next((str(answer) for answer in answers if answer), None)

    def finish() -> None:  # rank 0 looks at what all have written
        described = problem or _attempt(lambda: _describe(model, tokenizer, draft, dtype), fence)
        _end(draft, destination, fence, described)

    on_main(world, finish)


def _begin(destination: Path, fence: Fence) -> Path:
    draft = fence.draft(destination)
    draft.mkdir()
    return draft


def _end(draft: Path, destination: Path, fence: Fence, problem: str | None) -> None:
    try:
        fence.guard()
        if problem:
            raise _not_exported(destination, problem)
        fence.publish(draft, destination)
    except (RunError, OSError) as error:
        with suppress(OSError):  # a volume that went away or read-only; the next attempt sweeps up
            withdraw(draft, destination)
        if isinstance(error, RunError):
            raise
        raise _not_exported(destination, Failure.of(error).words) from error


def _not_exported(destination: Path, why: str) -> Retryable:
    return Retryable(f"model {destination} could not be exported: {why}")


def plan_shards(sizes: dict[str, int], limit: int) -> list[Shard]:
    """Split tensor names, in order, into files of at most `limit` bytes; a larger tensor gets a file of its own."""
    shards: list[Shard] = [[]]
    filled = 0
    for name, size in sizes.items():
        if shards[-1] and filled + size > limit:
            shards.append([])
            filled = 0
        shards[-1].append(name)
        filled += size
    return shards


def _write_weights(model: PreTrainedModel, folder: Path, world: World, dtype: torch.dtype, limit: int) -> None:
    tensors = _untied(model)
    itemsize = torch.empty((), dtype=dtype).element_size()
    sizes = {name: tensor.numel() * itemsize for name, tensor in tensors.items()}
    shards = plan_shards(sizes, limit)
    files = [_file_name(index, len(shards)) for index in range(len(shards))]
    failure: Exception | None = None
    for index, (file, shard) in enumerate(zip(files, shards, strict=True)):
        mine = index % world.size == world.rank and failure is None
        gathered = {name: tensor for name, tensor in _whole(tensors, shard, dtype) if mine}
        if mine:
            failure = _write_shard(gathered, folder / file)
        world.heart.touch()
    if failure is not None:
        raise failure
    if world.is_main and len(shards) > 1:
        weight_map = {name: file for file, shard in zip(files, shards, strict=True) for name in shard}
        index_file = {"metadata": {"total_size": sum(sizes.values())}, "weight_map": weight_map}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index_file, indent=1, sort_keys=True))


def _write_shard(tensors: dict[str, Tensor], path: Path) -> Exception | None:
    """Write one file, durably, and return why it could not be written.

    It is not raised: the other ranks need this one to put together the tensors that follow.
    """
    try:
        save_file(tensors, path, metadata={"format": "pt"})
        # It makes files that only their owner can read, whatever the process's mask says.
        path.chmod(path.parent.stat().st_mode & 0o666)
        sync(path)
    except (OSError, SafetensorError) as error:
        return error
    return None


def _untied(model: PreTrainedModel) -> dict[str, Tensor]:
    """Return each distinct tensor of the state dict under its first name: safetensors refuses shared memory."""
    tied = set(model.all_tied_weights_keys or ())
    return {name: tensor for name, tensor in model.state_dict().items() if name not in tied}


def _whole(tensors: dict[str, Tensor], names: Shard, dtype: torch.dtype) -> Iterator[tuple[str, Tensor]]:
    for name in names:
        tensor = tensors[name].detach()
        full = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
        # A cast that changes nothing would share memory with the model; save_file only needs it contiguous.
        yield name, full.to(device="cpu", dtype=dtype if full.is_floating_point() else None).contiguous()


def _describe(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, draft: Path, dtype: torch.dtype) -> None:
    """Write everything but the weights, and make sure that all of it loads."""
    config = copy.deepcopy(model.config)
    # FSDP2 renames the class of a model that it shards.
    config.dtype, config.architectures = dtype, [type(model).__name__.removeprefix("FSDP")]
    config.save_pretrained(draft)
    if model.generation_config is not None:
        model.generation_config.save_pretrained(draft)
    tokenizer.save_pretrained(draft)
    _require_loadable(draft)


def _require_loadable(folder: Path) -> None:
    """Compare the structure that the written config describes with the files' headers, without reading a tensor.

    `from_pretrained` on the meta device would do, but needs accelerate, which nothing else here does.
    """
    with torch.device("meta"):
        structure = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder))
    structure.tie_weights()
    written = dict(_headers(folder))
    for name, tensor in _untied(structure).items():
        if written.get(name) != list(tensor.shape):
            raise OSError(f"the written files lack {name}")


def _headers(folder: Path) -> Iterator[tuple[str, list[int]]]:
    """Yield the name and shape of each tensor in the safetensors files of a folder."""
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 (a file is no mapping)
                yield name, file.get_slice(name).get_shape()


def _file_name(index: int, count: int) -> str:
    return "model.safetensors" if count == 1 else f"model-{index + 1:05d}-of-{count:05d}.safetensors"


def _attempt(action: Callable[[], None], fence: Fence) -> str | None:
    try:
        action()
    except (OSError, SafetensorError) as error:
        return Failure.of(error).words
    except Exception:
        try:
            fence.guard()
        except Superseded as late:  # the draft was taken away under it, which libraries tell in words of their own
            return str(late)
        raise
    return None
