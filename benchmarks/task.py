"""What every candidate of a benchmark is given: the same rows, model, order, learning rates and threads."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

PEAK_LR = 6e-4
WARMUP_STEPS = 100


@dataclass(frozen=True)
class Task:
    """One comparison; `prepared` is a directory that `finetune_trainer.prepare` wrote."""

    model: Path
    prepared: Path
    config: dict[str, Any]
    batch_size: int
    max_seq_len: int
    precision: str
    threads: int
    steps: int


@dataclass(frozen=True)
class Row:
    """One tokenized row; labels are -100 where nothing is learned, and not shifted."""

    input_ids: np.ndarray
    labels: np.ndarray

    @classmethod
    def of(cls, input_ids: Sequence[int], labels: Sequence[int]) -> "Row":
        """Return a row of these numbers."""
        return cls(np.asarray(input_ids), np.asarray(labels))


def batches(task: Task) -> Iterator[list[int]]:
    """Yield the row numbers of each step, epoch after epoch, in the trainer's own order."""
    from finetune_trainer.data.order import epoch_order

    count, epoch = len(rows(task)), 0
    while True:
        order = epoch_order(count, epoch, shuffle=True, shuffle_seed=0)
        for start in range(0, count - task.batch_size + 1, task.batch_size):
            yield [int(row) for row in order[start : start + task.batch_size]]
        epoch += 1


def rows(task: Task) -> list[Row]:
    """Return every training row."""
    from finetune_trainer.data import TokenizedDataset, load_prepared

    dataset = TokenizedDataset.open(load_prepared(task.prepared).splits["train"])
    found = [dataset.row(index) for index in range(len(dataset))]
    return [Row(row.input_ids, row.labels) for row in found]


def lr_factor(step: int) -> float:
    """Return the share of the peak learning rate at a step counted from 0: a warmup of 100 steps."""
    return min(1.0, step / WARMUP_STEPS)


def training_config(
    model: Path, data: Path, *, batch_size: int = 8, max_seq_len: int = 512, precision: str = "fp32"
) -> dict[str, Any]:
    """Return the training configuration of the ARC Easy example for this model and data."""
    return {
        "max_seq_len": max_seq_len,
        "model": {"name": "hf_causal_lm", "pretrained_model_name_or_path": str(model)},
        "tokenizer": {"name": str(model)},
        "train_loader": {
            "name": "finetuning",
            "dataset": {
                "hf_name": "json",
                "hf_kwargs": {"data_dir": str(data)},
                "preprocessing_fn": "preprocessing:multiple_choice",
                "shuffle": True,
            },
            "drop_last": True,
        },
        "optimizer": {"name": "decoupled_adamw", "lr": PEAK_LR, "weight_decay": 0.0},
        "scheduler": {"name": "cosine_with_warmup", "t_warmup": f"{WARMUP_STEPS}ba", "alpha_f": 0.1},
        "algorithms": {"gradient_clipping": {"clipping_type": "norm", "clipping_threshold": 1.0}},
        "max_duration": "1ep",
        "global_train_batch_size": batch_size,
        "device_train_microbatch_size": batch_size,
        "precision": precision,
    }
