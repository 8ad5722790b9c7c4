"""Parts of a training run for tests: tiny models, rows in memory, a configuration, and the state built from them."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MptConfig,
    MptForCausalLM,
    PreTrainedModel,
)

from finetune_api.config import TrainingConfig, parse_training_config
from finetune_trainer.checkpoint.claims import Claim
from finetune_trainer.checkpoint.takeover import StartingPoint, Takeover, claim_output
from finetune_trainer.data.arrow_file import ArrowWriter, TokenizedDataset, TokenizedRow
from finetune_trainer.data.assembly import Example
from finetune_trainer.data.origins import Origin
from finetune_trainer.data.prepared import PreparedSplit
from finetune_trainer.data.rowstream import EncodedRow
from finetune_trainer.fence import Fence
from finetune_trainer.heartbeat import Heartbeat
from finetune_trainer.stopping import StopFlag
from finetune_trainer.train.layouts import Layout
from finetune_trainer.train.optimizers import build_optimizer
from finetune_trainer.train.precision import LossScale
from finetune_trainer.train.state import RowPlacement, TrainState
from finetune_trainer.train.world import World
from support.training_files import minimal_config

ALONE = World(rank=0, size=1, local_rank=0, device=torch.device("cpu"))
UNRIVALLED = Fence(0, lambda: None)
"""The right to publish of an attempt that nobody follows."""
VOCABULARY = 346  # of `tiny_gpt2`
PAD = 0


class Pulse(Heartbeat):
    """Counts the signs of life that are no points of the common program."""

    def __init__(self) -> None:
        super().__init__()
        self.touches = 0

    def touch(self) -> None:
        self.touches += 1


def take_over(
    output: Path, folder: Path, *, attempt: int, uid: str = "job", resume_from: str | None = None
) -> tuple[Claim, StartingPoint]:
    """Claim an output on one rank, and return the claim with where to start."""
    return claim_output(Takeover(output, folder, attempt, uid, resume_from), ALONE)


def training_config(model: Path, changes: dict[str, Any] | None = None) -> TrainingConfig:
    """Return an fp32 configuration for `model`, with top-level keys replaced by `changes`."""
    document = minimal_config() | {
        "model": {"name": "hf_causal_lm", "pretrained_model_name_or_path": str(model)},
        "tokenizer": {"name": str(model)},
        "optimizer": {"name": "decoupled_adamw", "lr": 1e-2},
        "scheduler": {"name": "constant_with_warmup", "t_warmup": "0ba"},
        "max_seq_len": 32,
        "global_train_batch_size": 4,
        "precision": "fp32",
    }
    return parse_training_config(document | (changes or {})).config


def row(ids: Sequence[int], prompt: int) -> TokenizedRow:
    """Return a row whose first `prompt` tokens are no targets."""
    labels = [-100] * prompt + list(ids[prompt:])
    return TokenizedRow(np.array(ids, dtype=np.int64), np.array(labels, dtype=np.int64), 0, "train.jsonl", None)


def random_rows(count: int, *, longest: int = 12, seed: int = 0) -> list[TokenizedRow]:
    """Return rows of 3 to `longest` tokens with at least one target each."""
    draw = np.random.default_rng(seed)
    lengths = draw.integers(3, longest + 1, count)
    return [row(draw.integers(1, VOCABULARY, n).tolist(), int(draw.integers(1, n))) for n in lengths]


def dataset_of(rows: Sequence[TokenizedRow]) -> TokenizedDataset:
    """Return rows as the dataset that training reads."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "rows.arrow"
        with ArrowWriter(path) as writer:
            for index, entry in enumerate(rows):
                example = Example(entry.input_ids.tolist(), entry.labels.tolist())
                writer.write(EncodedRow(index, Origin(entry.file, None), example, len(entry.input_ids)))
        return TokenizedDataset.open(split_of(rows, path))


def split_of(rows: Sequence[TokenizedRow], path: Path) -> PreparedSplit:
    """Return the description of these rows, prepared at `path`."""
    return PreparedSplit(
        name="train",
        path=path,
        sha256="0" * 64,
        rows_sha256="rows",
        rows=len(rows),
        tokens=sum(len(entry.input_ids) for entry in rows),
        loss_tokens=sum(int((entry.labels[1:] >= 0).sum()) for entry in rows),
        longest=max(len(entry.input_ids) for entry in rows),
        max_token_id=max(int(entry.input_ids.max()) for entry in rows),
        truncated=0,
        source_rows=len(rows),
        size=path.stat().st_size,
    )


def load_gpt2(directory: Path) -> PreTrainedModel:
    """Return the model of a directory in fp32."""
    return AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)


def tiny_llama() -> PreTrainedModel:
    """Return a small Llama with grouped queries and random weights."""
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
    )
    return _seeded(LlamaForCausalLM, config)


def tiny_mpt() -> PreTrainedModel:
    """Return a small MPT with random weights."""
    return _seeded(MptForCausalLM, MptConfig(d_model=32, n_heads=2, n_layers=2, vocab_size=VOCABULARY, max_seq_len=64))


def training_state(
    config: TrainingConfig,
    model: PreTrainedModel,
    *,
    layout: Layout = Layout.TRIMMED,
    padding_side: str = "right",
    stop: StopFlag | None = None,
) -> TrainState:
    """Return the state of a run of one rank."""
    return TrainState(
        config=config,
        world=ALONE,
        model=model,
        optimizer=build_optimizer(config, model),
        scale=LossScale(config.precision),
        stop=stop or StopFlag(),
        placement=RowPlacement(layout, PAD, padding_side, config.max_seq_len),
    )


def weights(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return a copy of all weights."""
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    """Tell whether two sets of weights are equal bit by bit."""
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def _seeded(kind: Any, config: Any) -> PreTrainedModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model: PreTrainedModel = kind(config)
    return model.float()
