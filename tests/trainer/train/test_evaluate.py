"""The loss over an evaluation set, per target token."""

import math
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from finetune_trainer.stopping import Agreement, StopFlag
from finetune_trainer.train.evaluate import EvalResult, evaluate
from finetune_trainer.train.layouts import target_count
from finetune_trainer.train.state import Drained, TrainState
from support.training import dataset_of, load_gpt2, random_rows, training_config, training_state

ROWS = random_rows(7, seed=5)
DATASET = dataset_of(ROWS)


class Stopped(StopFlag):
    """A flag that was raised before anything began."""

    def agreed(self, ranks: Agreement) -> signal.Signals | None:
        return signal.SIGINT


def state(directory: Path, changes: dict[str, Any] | None = None, stop: StopFlag | None = None) -> TrainState:
    return training_state(training_config(directory, changes), load_gpt2(directory), stop=stop)


def by_hand(directory: Path, rows: list[int]) -> float:
    """Return the loss per target from Hugging Face's own mean loss of each row."""
    model = load_gpt2(directory).eval()
    total = 0.0
    for index in rows:
        ids, labels = torch.tensor(ROWS[index].input_ids)[None], torch.tensor(ROWS[index].labels)[None]
        with torch.no_grad():
            total += float(model(input_ids=ids, labels=labels).loss) * target_count(ROWS[index])
    return total / sum(target_count(ROWS[index]) for index in rows)


@pytest.mark.parametrize("batch", [1, 2, 3, 4, 7, 100])
def test_the_loss_is_weighted_by_targets_whatever_the_batch_size(batch: int, gpt2_dir: Path) -> None:
    result = evaluate(state(gpt2_dir, {"device_eval_batch_size": batch}), DATASET, drop_last=False)
    assert result.loss == pytest.approx(by_hand(gpt2_dir, list(range(7))), rel=1e-5)
    assert result.loss_tokens == sum(map(target_count, ROWS))


def test_without_a_size_of_its_own_it_uses_that_of_training(gpt2_dir: Path) -> None:
    subset = {"eval_subset_num_batches": 1}
    by_microbatch = evaluate(state(gpt2_dir, subset | {"device_train_microbatch_size": 2}), DATASET, drop_last=False)
    assert by_microbatch.loss == pytest.approx(by_hand(gpt2_dir, [0, 1]), rel=1e-5)
    by_batch = evaluate(state(gpt2_dir, subset | {"global_train_batch_size": 5}), DATASET, drop_last=False)
    assert by_batch.loss == pytest.approx(by_hand(gpt2_dir, [0, 1, 2, 3, 4]), rel=1e-5)


@pytest.mark.parametrize(("batches", "rows"), [(1, 3), (2, 6), (3, 7), (9, 7), (-1, 7)])
def test_a_subset_is_the_first_batches(batches: int, rows: int, gpt2_dir: Path) -> None:
    run = state(gpt2_dir, {"device_eval_batch_size": 3, "eval_subset_num_batches": batches})
    result = evaluate(run, DATASET, drop_last=False)
    assert result.loss == pytest.approx(by_hand(gpt2_dir, list(range(rows))), rel=1e-5)


@pytest.mark.parametrize(("batch", "rows"), [(3, 6), (4, 4), (7, 7), (100, 7)])
def test_a_short_last_batch_is_dropped_unless_it_is_the_only_one(batch: int, rows: int, gpt2_dir: Path) -> None:
    result = evaluate(state(gpt2_dir, {"device_eval_batch_size": batch}), DATASET, drop_last=True)
    assert result.loss == pytest.approx(by_hand(gpt2_dir, list(range(rows))), rel=1e-5)


def test_dropout_is_off(dropout_dir: Path) -> None:
    run = state(dropout_dir)
    run.model.train()
    assert evaluate(run, DATASET, drop_last=False) == evaluate(run, DATASET, drop_last=False)


def test_nothing_is_left_for_a_backward_pass(gpt2_dir: Path) -> None:
    run = state(gpt2_dir)
    evaluate(run, DATASET, drop_last=False)
    assert all(parameter.grad is None for parameter in run.model.parameters())


def test_a_wish_to_stop_ends_an_evaluation_between_two_batches(gpt2_dir: Path) -> None:
    with pytest.raises(Drained) as caught:
        evaluate(state(gpt2_dir, stop=Stopped()), DATASET, drop_last=False)
    assert caught.value.number == signal.SIGINT


def test_perplexity_is_the_exponential_and_infinite_rather_than_an_error() -> None:
    assert EvalResult(2.0, 5).perplexity == pytest.approx(math.e**2)
    assert EvalResult(5000.0, 5).perplexity == math.inf
