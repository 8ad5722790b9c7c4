"""One optimizer step on one global batch, whatever the ranks and microbatches it is spread over."""

import math
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor
from torch.distributed.tensor import DTensor
from torch.nn.utils import clip_grad_value_, clip_grads_with_norm_, get_total_norm

from finetune_api.config import TrainingConfig
from finetune_api.errors import Diverged
from finetune_trainer.data.arrow_file import TokenizedDataset
from finetune_trainer.train.loss import loss_sum
from finetune_trainer.train.parallel import is_sharded
from finetune_trainer.train.precision import autocast
from finetune_trainer.train.seeding import seed_step
from finetune_trainer.train.state import TrainState
from finetune_trainer.train.world import sum_gradients


@dataclass(frozen=True)
class StepResult:
    """The loss per target of the global batch, the gradients' norm before clipping, and counts over all ranks."""

    loss: float
    grad_norm: float
    tokens: int
    loss_tokens: int
    positions: int
    skipped: bool


def train_step(run: TrainState, dataset: TokenizedDataset, rows: np.ndarray, step: int, lr_factor: float) -> StepResult:
    """Take optimizer step `step` (counted from 1) on the global batch `rows`.

    Raises Diverged when the loss or the gradient norm is not finite, before the weights are touched, and Drained when
    all ranks agreed to stop; the weights are then those of the step before.
    """
    run.model.train()
    run.optimizer.zero_grad(set_to_none=True)
    seed_step(run.config.seed, step, run.world.rank)
    loss_tokens = int(dataset.targets[rows].sum())
    local_loss, local_positions = _accumulate_gradients(run, dataset, rows, loss_tokens)
    loss, positions = run.world.sum([local_loss / loss_tokens, local_positions])
    norm = _reduced_gradient_norm(run)
    finite = math.isfinite(loss) and math.isfinite(norm)
    if not finite and not run.scale.enabled:
        raise Diverged(_what_is_not_finite(loss, norm, step, rows), step=step)
    accepted = run.scale.accepts(finite=finite, step=step)
    if accepted:
        _clip(run.config, _trained(run), norm)
        _set_learning_rate(run, lr_factor)
        run.optimizer.step()
    tokens = int(dataset.lengths[rows].sum())
    return StepResult(loss, norm, tokens, loss_tokens, int(positions), skipped=not accepted)


def _accumulate_gradients(
    run: TrainState, dataset: TokenizedDataset, rows: np.ndarray, loss_tokens: int
) -> tuple[float, int]:
    """Add up the gradients of this rank's microbatches; return its summed loss and the positions it computed."""
    total = torch.zeros((), device=run.world.device, dtype=torch.float64)
    positions = 0
    for microbatch in run.microbatches(dataset, rows, run.config.device_train_microbatch_size):
        with autocast(run.config, run.world.device, sharded_low=run.fsdp_casts):
            loss = loss_sum(run.model, microbatch)
        torch.autograd.backward(loss * (run.scale.value / loss_tokens))
        total += loss.detach()
        positions += microbatch.positions
    return total.item(), positions


def _reduced_gradient_norm(run: TrainState) -> float:
    """Sum the gradients over the ranks, take the loss scale out again, and return their norm."""
    parameters = _trained(run)
    for parameter in parameters:
        if parameter.grad is None:  # no row of this rank reached it; another rank's may have
            parameter.grad = torch.zeros_like(parameter)
    if run.world.size > 1 and not is_sharded(run.config):
        sum_gradients(parameters)
    gradients = [cast(Tensor, p.grad) for p in parameters]
    run.scale.unscale(gradients)
    norm = get_total_norm(gradients)
    return float(norm.full_tensor() if isinstance(norm, DTensor) else norm)


def _clip(config: TrainingConfig, parameters: list[Tensor], norm: float) -> None:
    clipping = config.algorithms.gradient_clipping if config.algorithms else None
    if clipping is None:
        return
    if clipping.clipping_type == "norm":
        clip_grads_with_norm_(parameters, clipping.clipping_threshold, torch.tensor(norm, device=parameters[0].device))
    else:
        clip_grad_value_(parameters, clipping.clipping_threshold)


def _set_learning_rate(run: TrainState, factor: float) -> None:
    for group in run.optimizer.param_groups:
        group["lr"] = group["initial_lr"] * factor


def _trained(run: TrainState) -> list[Tensor]:
    return [cast(Tensor, p) for group in run.optimizer.param_groups for p in group["params"]]


def _what_is_not_finite(loss: float, norm: float, step: int, rows: np.ndarray) -> str:
    name, value = ("loss", loss) if not math.isfinite(loss) else ("gradient norm", norm)
    shown = ", ".join(str(row) for row in rows[:32]) + (", …" if len(rows) > 32 else "")
    return f"the {name} of step {step} is {value}; its rows in the prepared dataset: {shown}"
