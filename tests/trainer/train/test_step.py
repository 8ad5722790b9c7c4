"""One optimizer step: the loss of the global batch, clipping, and what stops it before the weights change."""

import math
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from finetune_api.errors import Diverged
from finetune_trainer.stopping import Agreement, StopFlag
from finetune_trainer.train.attention import use_per_row_attention
from finetune_trainer.train.layouts import Layout, target_count
from finetune_trainer.train.precision import SKIPS_BEFORE_DIVERGED
from finetune_trainer.train.state import Drained, TrainState
from finetune_trainer.train.step import train_step
from support.training import dataset_of, load_gpt2, random_rows, same, training_config, training_state, weights

ROWS = random_rows(6, seed=2)
DATASET = dataset_of(ROWS)
BATCH = np.array([4, 0, 3, 5])


class StopAfter(StopFlag):
    """A flag that ranks agree on once they have been asked more than `calls` times."""

    def __init__(self, calls: int) -> None:
        super().__init__()
        self.left = calls

    def agreed(self, ranks: Agreement) -> signal.Signals | None:
        self.left -= 1
        return signal.SIGTERM if self.left < 0 else None


def state(directory: Path, changes: dict[str, Any] | None = None, **parts: Any) -> TrainState:
    model = load_gpt2(directory)
    if parts.get("layout") is Layout.PADDING_FREE:
        use_per_row_attention(model)
    return training_state(training_config(directory, changes), model, **parts)


def by_hand(model: PreTrainedModel) -> tuple[float, list[Tensor]]:
    """Return the loss and gradients of BATCH from Hugging Face's own mean loss of each row alone."""
    total, targets = torch.zeros(()), 0
    for index in BATCH:
        ids, labels = torch.tensor(ROWS[index].input_ids)[None], torch.tensor(ROWS[index].labels)[None]
        total = total + model(input_ids=ids, labels=labels).loss * target_count(ROWS[index])
        targets += target_count(ROWS[index])
    loss = total / targets
    return loss.item(), list(torch.autograd.grad(loss, list(model.parameters())))


def overflow(model: PreTrainedModel, times: int) -> None:
    """Make the next `times` backward passes give an infinite gradient."""
    left = iter([math.inf] * times)
    next(model.parameters()).register_hook(lambda gradient: gradient + next(left, 0.0))


@pytest.mark.parametrize("microbatch", [None, 1, 2, 3, 4, 8])
@pytest.mark.parametrize("layout", list(Layout))
def test_the_loss_is_the_mean_over_all_targets_of_the_batch(
    layout: Layout, microbatch: int | None, gpt2_dir: Path
) -> None:
    run = state(gpt2_dir, {"device_train_microbatch_size": microbatch} if microbatch else None, layout=layout)
    loss, gradients = by_hand(load_gpt2(gpt2_dir))
    result = train_step(run, DATASET, BATCH, 1, 0.0)
    assert result.loss == pytest.approx(loss, rel=1e-5)
    norm = math.sqrt(sum(float(gradient.square().sum()) for gradient in gradients))
    assert result.grad_norm == pytest.approx(norm, rel=1e-4)
    for parameter, gradient in zip(run.model.parameters(), gradients, strict=True):
        assert torch.allclose(parameter.grad, gradient, rtol=1e-4, atol=1e-6)


def test_a_step_reports_what_the_batch_holds(gpt2_dir: Path) -> None:
    result = train_step(state(gpt2_dir, layout=Layout.PADDED), DATASET, BATCH, 1, 1.0)
    assert result.tokens == sum(len(ROWS[i].input_ids) for i in BATCH)
    assert result.loss_tokens == sum(target_count(ROWS[i]) for i in BATCH)
    assert result.positions == 4 * 32
    assert not result.skipped


def test_the_learning_rate_is_the_configured_one_times_the_factor(gpt2_dir: Path) -> None:
    groups = [{"param_str_match": "bias", "lr": 1e-3}]
    run = state(gpt2_dir, {"optimizer": {"name": "adamw", "lr": 1e-2, "param_groups": groups}})
    train_step(run, DATASET, BATCH, 1, 0.25)
    assert [group["lr"] for group in run.optimizer.param_groups] == pytest.approx([2.5e-3, 2.5e-4])


def test_a_first_step_at_rate_zero_leaves_the_weights_unchanged(gpt2_dir: Path) -> None:
    run = state(gpt2_dir, {"optimizer": {"name": "decoupled_adamw", "weight_decay": 0.1}})
    before = weights(run.model)
    train_step(run, DATASET, BATCH, 1, 0.0)
    assert same(before, weights(run.model))
    train_step(run, DATASET, BATCH, 2, 0.01)
    assert not same(before, weights(run.model))


def test_a_parameter_that_no_row_reaches_has_a_gradient_of_zero_as_it_has_on_many_ranks(gpt2_dir: Path) -> None:
    model = load_gpt2(gpt2_dir)
    model.unused = torch.nn.Parameter(torch.ones(3))
    settings = {"optimizer": {"name": "decoupled_adamw", "weight_decay": 0.5}}
    run = training_state(training_config(gpt2_dir, settings), model)
    train_step(run, DATASET, BATCH, 1, 1.0)
    assert model.unused.tolist() == [0.5] * 3
    assert run.optimizer.state[model.unused]


def test_steps_on_the_same_rows_make_the_loss_fall(gpt2_dir: Path) -> None:
    run = state(gpt2_dir)
    losses = [train_step(run, DATASET, BATCH, step, 1.0).loss for step in range(1, 9)]
    assert losses[-1] < losses[0] / 2


def clipping(kind: str, threshold: float) -> dict[str, Any]:
    return {"algorithms": {"gradient_clipping": {"clipping_type": kind, "clipping_threshold": threshold}}}


def test_clipping_by_norm_scales_all_gradients_and_reports_the_norm_before(gpt2_dir: Path) -> None:
    _, gradients = by_hand(load_gpt2(gpt2_dir))
    run = state(gpt2_dir, clipping("norm", 0.5))
    result = train_step(run, DATASET, BATCH, 1, 0.0)
    assert result.grad_norm > 0.5
    for parameter, gradient in zip(run.model.parameters(), gradients, strict=True):
        assert torch.allclose(parameter.grad, gradient * (0.5 / result.grad_norm), rtol=1e-4, atol=1e-6)


def test_clipping_by_norm_leaves_short_gradients_alone(gpt2_dir: Path) -> None:
    _, gradients = by_hand(load_gpt2(gpt2_dir))
    run = state(gpt2_dir, clipping("norm", 1e3))
    train_step(run, DATASET, BATCH, 1, 0.0)
    for parameter, gradient in zip(run.model.parameters(), gradients, strict=True):
        assert torch.allclose(parameter.grad, gradient, rtol=1e-4, atol=1e-6)


def test_clipping_by_value_cuts_each_element(gpt2_dir: Path) -> None:
    _, gradients = by_hand(load_gpt2(gpt2_dir))
    run = state(gpt2_dir, clipping("value", 1e-3))
    train_step(run, DATASET, BATCH, 1, 0.0)
    for parameter, gradient in zip(run.model.parameters(), gradients, strict=True):
        assert torch.allclose(parameter.grad, gradient.clamp(-1e-3, 1e-3), rtol=1e-4, atol=1e-6)


def test_a_loss_that_is_not_a_number_stops_the_run_before_the_weights_change(gpt2_dir: Path) -> None:
    run = state(gpt2_dir)
    with torch.no_grad():
        run.model.transformer.ln_f.bias[0] = math.nan
    before = weights(run.model)
    with pytest.raises(Diverged, match=r"the loss of step 7 is nan; .*: 4, 0, 3, 5$") as caught:
        train_step(run, DATASET, BATCH, 7, 1.0)
    assert caught.value.step == 7
    changed = [n for n, p in run.model.named_parameters() if not torch.equal(p.nan_to_num(), before[n].nan_to_num())]
    assert changed == []


def test_a_gradient_that_overflows_stops_the_run_before_the_weights_change(gpt2_dir: Path) -> None:
    run = state(gpt2_dir)
    before = weights(run.model)
    overflow(run.model, times=1)
    with pytest.raises(Diverged, match="the gradient norm of step 3 is inf"):
        train_step(run, DATASET, BATCH, 3, 1.0)
    assert same(before, weights(run.model))


def test_only_the_first_rows_of_a_large_batch_are_named(gpt2_dir: Path) -> None:
    run = state(gpt2_dir)
    overflow(run.model, times=1)
    with pytest.raises(Diverged, match=r"(0, 1, ){16}…$"):
        train_step(run, DATASET, np.array([0, 1] * 20), 3, 1.0)


def test_an_overflow_in_float16_skips_the_step_and_halves_the_scale(gpt2_dir: Path) -> None:
    run = state(gpt2_dir, {"precision": "amp_fp16"})
    run.scale.value = 8.0
    before = weights(run.model)
    overflow(run.model, times=1)
    assert train_step(run, DATASET, BATCH, 1, 1.0).skipped
    assert same(before, weights(run.model))
    assert run.scale.value == 4.0
    result = train_step(run, DATASET, BATCH, 2, 1.0)
    assert not result.skipped
    assert not same(before, weights(run.model))


def test_the_scale_of_float16_is_taken_out_of_loss_and_norm(gpt2_dir: Path) -> None:
    run = state(gpt2_dir, {"precision": "amp_fp16"})
    run.scale.value = 128.0
    loss, gradients = by_hand(load_gpt2(gpt2_dir))
    result = train_step(run, DATASET, BATCH, 1, 1.0)
    assert result.loss == pytest.approx(loss, rel=1e-2)
    norm = math.sqrt(sum(float(gradient.square().sum()) for gradient in gradients))
    assert result.grad_norm == pytest.approx(norm, rel=5e-2)


def test_twenty_overflows_in_a_row_are_a_divergence(gpt2_dir: Path) -> None:
    run = state(gpt2_dir, {"precision": "amp_fp16"})
    overflow(run.model, times=SKIPS_BEFORE_DIVERGED)
    for step in range(1, SKIPS_BEFORE_DIVERGED):
        assert train_step(run, DATASET, BATCH[:1], step, 1.0).skipped
    with pytest.raises(Diverged, match="overflowed in 20 steps in a row, the last of them 20"):
        train_step(run, DATASET, BATCH[:1], SKIPS_BEFORE_DIVERGED, 1.0)


@pytest.mark.parametrize("microbatches", [0, 1, 3])
def test_a_wish_to_stop_leaves_the_weights_of_the_step_before(microbatches: int, gpt2_dir: Path) -> None:
    run = state(gpt2_dir, {"device_train_microbatch_size": 1}, stop=StopAfter(microbatches))
    before = weights(run.model)
    with pytest.raises(Drained) as caught:
        train_step(run, DATASET, BATCH, 1, 1.0)
    assert caught.value.number == signal.SIGTERM
    assert same(before, weights(run.model))
    assert not run.optimizer.state


def test_a_step_cut_short_leaves_no_gradient_for_the_next(gpt2_dir: Path) -> None:
    cut, whole = (state(gpt2_dir, {"device_train_microbatch_size": 1}) for _ in range(2))
    cut.stop = StopAfter(2)
    with pytest.raises(Drained):
        train_step(cut, DATASET, BATCH, 1, 1.0)
    cut.stop = StopFlag()
    assert train_step(cut, DATASET, BATCH, 1, 1.0) == train_step(whole, DATASET, BATCH, 1, 1.0)
    assert same(weights(cut.model), weights(whole.model))


def test_dropout_depends_on_the_step_and_on_nothing_before_it(dropout_dir: Path) -> None:
    first, second = (state(dropout_dir) for _ in range(2))
    torch.rand(17)
    losses = [train_step(first, DATASET, BATCH, step, 0.0).loss for step in (1, 2)]
    torch.rand(5)
    assert train_step(second, DATASET, BATCH, 2, 0.0).loss == losses[1]
    assert losses[0] != losses[1]
