"""The three optimizers, built over named parameters with LLM Foundry's groups and frozen parameters."""

import re
from collections.abc import Callable, Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from finetune_api.config import TrainingConfig
from finetune_api.config import optimizer as config_models
from finetune_api.errors import ConfigInvalid


class DecoupledAdamW(AdamW):
    """AdamW whose decay multiplies a weight by `1 - (lr / initial_lr) * weight_decay` (arXiv:1711.05101, eq. 12).

    torch multiplies by `1 - lr * weight_decay`, so a decay of `weight_decay / initial_lr` handed to it is the same.
    """

    def __init__(self, params: Any, *, lr: float, weight_decay: float, **settings: Any) -> None:
        super().__init__(params, lr=lr, weight_decay=weight_decay, **settings)
        for group in self.param_groups:
            group["initial_lr"] = group["lr"]
            group["weight_decay"] = group["weight_decay"] / group["lr"] if group["lr"] else 0.0


class DecoupledLionW(Optimizer):
    """Lion (arXiv:2302.06675) with decay that multiplies a weight by `1 - (lr / initial_lr) * weight_decay`."""

    def __init__(self, params: Any, *, lr: float, betas: tuple[float, float], weight_decay: float) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})
        for group in self.param_groups:
            group["initial_lr"] = group["lr"]

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Move every parameter that has a gradient by `lr` against the sign of the interpolated momentum."""
        assert closure is None, "a closure would run the model twice"
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            if parameters:
                self._step_group(group, parameters)

    def _step_group(self, group: dict[str, Any], parameters: list[Tensor]) -> None:
        for parameter in parameters:
            state = self.state[parameter]
            if not state:
                state["exp_avg"] = torch.zeros_like(parameter)
        gradients = [cast(Tensor, p.grad) for p in parameters]
        momenta = [self.state[p]["exp_avg"] for p in parameters]
        beta1, beta2 = group["betas"]
        if group["weight_decay"] and group["initial_lr"]:
            torch._foreach_mul_(parameters, 1 - group["lr"] / group["initial_lr"] * group["weight_decay"])
        updates = torch._foreach_lerp(momenta, gradients, 1 - beta1)
        torch._foreach_sign_(updates)
        torch._foreach_add_(parameters, updates, alpha=-group["lr"])
        torch._foreach_lerp_(momenta, gradients, 1 - beta2)


def freeze(config: TrainingConfig, model: nn.Module) -> None:
    """Turn off gradients of the parameters that `optimizer.disable_grad` matches (regular expressions)."""
    for name, parameter in model.named_parameters():
        if any(re.search(pattern, name) for pattern in config.optimizer.disable_grad):
            parameter.requires_grad_(False)


def build_optimizer(config: TrainingConfig, model: nn.Module) -> Optimizer:
    """Return the configured optimizer over the model's trainable parameters, in its order.

    Raises ConfigInvalid when nothing is left to train or a parameter group matches nothing.
    """
    trainable = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    if not trainable:
        raise ConfigInvalid("optimizer.disable_grad: matches every parameter, so nothing is left to train")
    groups = _param_groups(config, trainable)
    optimizer = _construct(config, groups)
    for group in optimizer.param_groups:
        group.setdefault("initial_lr", group["lr"])
    return optimizer


def _construct(config: TrainingConfig, groups: list[dict[str, Any]]) -> Optimizer:
    settings = config.optimizer
    common: dict[str, Any] = {
        "lr": settings.lr,
        "betas": settings.betas,
        "weight_decay": settings.weight_decay,
    }
    if isinstance(settings, config_models.DecoupledLionW):
        return DecoupledLionW(groups, **common)
    kind = DecoupledAdamW if isinstance(settings, config_models.DecoupledAdamW) else AdamW
    return kind(groups, eps=settings.eps, fused=True, **common)


def _param_groups(config: TrainingConfig, trainable: Iterable[tuple[str, nn.Parameter]]) -> list[dict[str, Any]]:
    """Split parameters by `optimizer.param_groups`: each takes what it matches and nobody before it took."""
    left = dict(trainable)
    groups: list[dict[str, Any]] = []
    for index, wanted in enumerate(config.optimizer.param_groups):
        settings = wanted.model_dump()
        pattern = settings.pop("param_str_match")
        names = [name for name in left if re.search(pattern, name)]
        if not names:
            raise ConfigInvalid(f"optimizer.param_groups[{index}].param_str_match: {pattern!r} matches no parameter")
        groups.append({**settings, "params": [left.pop(name) for name in names]})
    return [{"params": list(left.values())}, *groups] if left else groups
