"""The microbatches of a global batch, and the agreement to stop between them."""

import signal
from pathlib import Path

import numpy as np
import pytest

from finetune_trainer.stopping import Agreement, StopFlag
from finetune_trainer.train.layouts import Layout
from finetune_trainer.train.state import Drained, TrainState
from support.training import dataset_of, load_gpt2, row, training_config, training_state

DATASET = dataset_of([row([10 + i, 20 + i, 30 + i], 1) for i in range(5)])


class Asked(StopFlag):
    """Counts how often the ranks ask each other, and agrees to stop at the third time."""

    def __init__(self) -> None:
        super().__init__()
        self.times = 0

    def agreed(self, ranks: Agreement) -> signal.Signals | None:
        self.times += 1
        return signal.SIGTERM if self.times == 3 else None


def state(directory: Path, stop: StopFlag | None = None, layout: Layout = Layout.TRIMMED) -> TrainState:
    return training_state(training_config(directory), load_gpt2(directory), layout=layout, stop=stop)


def test_rows_come_in_the_order_of_the_batch(gpt2_dir: Path) -> None:
    found = list(state(gpt2_dir).microbatches(DATASET, np.array([4, 0, 2]), 2))
    assert [part.inputs["input_ids"].tolist() for part in found] == [
        [[14, 24, 34], [10, 20, 30]],
        [[12, 22, 32]],
    ]


def test_rows_are_placed_as_the_run_places_them(gpt2_dir: Path) -> None:
    (padded,) = state(gpt2_dir, layout=Layout.PADDED).microbatches(DATASET, np.array([1]), None)
    assert padded.inputs["input_ids"].shape == (1, 32)
    (packed,) = state(gpt2_dir, layout=Layout.PADDING_FREE).microbatches(DATASET, np.array([1, 3]), None)
    assert packed.inputs["row_lengths"] == (3, 3)


def test_the_ranks_ask_each_other_before_every_microbatch(gpt2_dir: Path) -> None:
    asked = Asked()
    parts = state(gpt2_dir, asked).microbatches(DATASET, np.arange(5), 1)
    assert [next(parts).targets.tolist() for _ in range(2)] == [[20, 30], [21, 31]]
    with pytest.raises(Drained) as caught:
        next(parts)
    assert caught.value.number == signal.SIGTERM


@pytest.mark.parametrize(
    ("settings", "casts"),
    [
        (None, False),
        ({"mixed_precision": "PURE"}, True),
        ({"mixed_precision": "FULL"}, False),
        ({"mixed_precision": "PURE", "sharding_strategy": "NO_SHARD"}, False),
    ],
)
def test_fsdp_casts_only_where_it_shards_and_is_asked_to(
    settings: dict[str, str] | None, casts: bool, gpt2_dir: Path
) -> None:
    run = state(gpt2_dir)
    run.config = training_config(gpt2_dir, {} if settings is None else {"fsdp_config": settings})
    assert run.fsdp_casts is casts
