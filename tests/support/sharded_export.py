"""`python -m support.sharded_export OUTPUT FAULT`: one of two ranks that export a sharded model, with a fault in one.

Its rank and where it meets the other are told as torchrun tells them. What came of the export is printed as JSON.
"""

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch.distributed.fsdp import fully_shard
from transformers import PreTrainedTokenizerBase

from finetune_api.errors import RunError
from finetune_trainer.checkpoint.export import export_model
from finetune_trainer.heartbeat import Heartbeat
from finetune_trainer.train.world import World, join_world
from support.training import UNRIVALLED, tiny_llama

SHARD_BYTES = 20_000


class _NoTokenizer:
    """Writes nothing at once, where a real one takes a moment."""

    def save_pretrained(self, _: Path) -> None:
        pass


def _spoil(fault: str, world: World) -> None:
    if fault == f"full {world.rank}":
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))  # what is longer cannot be written
    if fault == f"slow {world.rank}":

        def save_slowly(*arguments: Any, **options: Any) -> None:
            time.sleep(1)
            save_file(*arguments, **options)

        pytest.MonkeyPatch().setattr("finetune_trainer.checkpoint.export.save_file", save_slowly)


def _export(output: Path, fault: str, world: World) -> str:
    model = tiny_llama()
    fully_shard(model)
    _spoil(fault, world)
    tokenizer: PreTrainedTokenizerBase = _NoTokenizer()
    try:
        export_model(
            model, tokenizer, output / "model", world, dtype=torch.float32, fence=UNRIVALLED, shard_bytes=SHARD_BYTES
        )
    except RunError as error:
        return f"{type(error).__name__}: {error}"
    return "exported"


def main() -> None:
    """Export, and print what came of it."""
    with join_world(60, Heartbeat()) as world:
        print(json.dumps({"rank": world.rank, "end": _export(Path(sys.argv[1]), sys.argv[2], world)}), flush=True)


if __name__ == "__main__":
    main()
