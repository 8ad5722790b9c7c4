"""The three optimizers, against the update rules of their papers in plain Python numbers."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import Optimizer

from finetune_api.config import TrainingConfig
from finetune_api.errors import ConfigInvalid
from finetune_trainer.train.optimizers import build_optimizer, freeze
from support.training import load_gpt2, same, training_config, weights

START = [0.5, -1.5, 2.0]
GRADIENTS = [[0.1, -0.2, 0.3], [-0.4, 0.0, 0.6], [0.2, 0.7, -0.1], [1e-4, -1e-4, 5.0]]
FACTORS = [0.0, 0.5, 1.0, 0.3]


@dataclass
class Reference:
    """One weight vector with the moments of Adam or Lion."""

    values: list[float]
    first: list[float] = field(default_factory=lambda: [0.0] * 3)
    second: list[float] = field(default_factory=lambda: [0.0] * 3)
    steps: int = 0

    def adam(self, gradients: Sequence[float], lr: float, keep: float, *, betas: tuple[float, float]) -> None:
        """Multiply the weights by `keep`, then move them as Adam does (arXiv:1412.6980)."""
        self.steps += 1
        for i, g in enumerate(gradients):
            self.first[i] = betas[0] * self.first[i] + (1 - betas[0]) * g
            self.second[i] = betas[1] * self.second[i] + (1 - betas[1]) * g * g
            m = self.first[i] / (1 - betas[0] ** self.steps)
            v = self.second[i] / (1 - betas[1] ** self.steps)
            self.values[i] = self.values[i] * keep - lr * m / (math.sqrt(v) + 1e-8)

    def lion(self, gradients: Sequence[float], lr: float, keep: float, *, betas: tuple[float, float]) -> None:
        """Multiply the weights by `keep`, then move them as Lion does (arXiv:2302.06675, algorithm 2)."""
        for i, g in enumerate(gradients):
            direction = betas[0] * self.first[i] + (1 - betas[0]) * g
            sign = (direction > 0) - (direction < 0)
            self.values[i] = self.values[i] * keep - lr * sign
            self.first[i] = betas[1] * self.first[i] + (1 - betas[1]) * g


def one_vector() -> nn.Module:
    model = nn.Module()
    model.weight = nn.Parameter(torch.tensor(START))
    return model


def configured(settings: dict[str, Any]) -> TrainingConfig:
    return training_config(Path("gpt2"), {"optimizer": settings})


def trajectory(optimizer: Optimizer, weight: torch.Tensor) -> list[list[float]]:
    """Take the steps of GRADIENTS, with the learning rate changing by FACTORS."""
    seen = []
    for gradients, factor in zip(GRADIENTS, FACTORS, strict=True):
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] * factor
        weight.grad = torch.tensor(gradients)
        optimizer.step()
        seen.append(weight.tolist())
    return seen


def expected(move: Callable[[Reference, Sequence[float], float], None]) -> list[list[float]]:
    reference = Reference(list(START))
    seen = []
    for gradients, factor in zip(GRADIENTS, FACTORS, strict=True):
        move(reference, gradients, factor)
        seen.append(list(reference.values))
    return seen


def weight_of(model: nn.Module) -> torch.Tensor:
    return next(model.parameters())


def check(settings: dict[str, Any], move: Callable[[Reference, Sequence[float], float], None]) -> None:
    model = one_vector()
    found = trajectory(build_optimizer(configured(settings), model), weight_of(model))
    for ours, theirs in zip(found, expected(move), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-6)


def test_decoupled_adamw_decays_by_the_part_of_the_peak_rate_that_is_left() -> None:
    settings = {"name": "decoupled_adamw", "lr": 0.02, "betas": [0.9, 0.95], "eps": 1e-8, "weight_decay": 0.1}
    check(settings, lambda r, g, f: r.adam(g, 0.02 * f, 1 - f * 0.1, betas=(0.9, 0.95)))


def test_adamw_decays_by_the_learning_rate_times_the_decay() -> None:
    settings = {"name": "adamw", "lr": 0.02, "betas": [0.8, 0.99], "eps": 1e-8, "weight_decay": 0.1}
    check(settings, lambda r, g, f: r.adam(g, 0.02 * f, 1 - 0.02 * f * 0.1, betas=(0.8, 0.99)))


def test_decoupled_lionw_follows_signs_and_decays_by_the_part_of_the_peak_rate() -> None:
    settings = {"name": "decoupled_lionw", "lr": 0.02, "betas": [0.9, 0.99], "weight_decay": 0.1}
    check(settings, lambda r, g, f: r.lion(g, 0.02 * f, 1 - f * 0.1, betas=(0.9, 0.99)))


@pytest.mark.parametrize("name", ["decoupled_adamw", "adamw", "decoupled_lionw"])
def test_a_step_at_rate_zero_leaves_the_weights_as_they_are(name: str) -> None:
    model = one_vector()
    optimizer = build_optimizer(configured({"name": name, "lr": 1e-3, "weight_decay": 0.5}), model)
    optimizer.param_groups[0]["lr"] = 0.0
    weight_of(model).grad = torch.ones(3)
    optimizer.step()
    assert weight_of(model).tolist() == START


def test_lion_passes_over_a_weight_without_a_gradient() -> None:
    model = one_vector()
    build_optimizer(configured({"name": "decoupled_lionw", "lr": 1e-3}), model).step()
    assert weight_of(model).tolist() == START


def test_frozen_parameters_get_no_gradient_and_no_place_in_the_optimizer(gpt2_dir: Path) -> None:
    model = load_gpt2(gpt2_dir)
    config = configured({"name": "decoupled_adamw", "disable_grad": ["wte", r"\.h\.0\."]})
    freeze(config, model)
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    assert frozen == {name for name, _ in model.named_parameters() if "wte" in name or ".h.0." in name}
    trained = build_optimizer(config, model).param_groups[0]["params"]
    assert len(trained) == sum(p.requires_grad for p in model.parameters())


def test_freezing_everything_is_a_mistake(gpt2_dir: Path) -> None:
    model = load_gpt2(gpt2_dir)
    config = configured({"name": "adamw", "disable_grad": ["."]})
    freeze(config, model)
    with pytest.raises(ConfigInvalid, match=r"optimizer\.disable_grad.*nothing is left"):
        build_optimizer(config, model)


def test_a_group_takes_what_it_matches_and_keeps_the_other_values(gpt2_dir: Path) -> None:
    model = load_gpt2(gpt2_dir)
    groups = [{"param_str_match": r"bias$", "weight_decay": 0.0}, {"param_str_match": r"ln_|bias", "lr": 1e-4}]
    settings = {"name": "decoupled_adamw", "lr": 1e-2, "weight_decay": 0.5, "param_groups": groups}
    rest, biases, norms = build_optimizer(configured(settings), model).param_groups
    names = {id(p): name for name, p in model.named_parameters()}
    assert all(names[id(p)].endswith("bias") for p in biases["params"])
    assert all("ln_" in names[id(p)] and names[id(p)].endswith("weight") for p in norms["params"])
    assert len(rest["params"]) + len(biases["params"]) + len(norms["params"]) == len(names)
    assert (biases["initial_lr"], biases["weight_decay"]) == (1e-2, 0.0)
    assert (norms["initial_lr"], norms["weight_decay"] * norms["initial_lr"]) == (1e-4, 0.5)
    assert (rest["initial_lr"], rest["weight_decay"] * rest["initial_lr"]) == (1e-2, 0.5)


def test_a_group_that_matches_nothing_is_a_mistake_with_its_path(gpt2_dir: Path) -> None:
    groups = [{"param_str_match": "bias"}, {"param_str_match": "no_such_layer", "lr": 1.0}]
    config = configured({"name": "decoupled_adamw", "param_groups": groups})
    with pytest.raises(ConfigInvalid, match=r"optimizer\.param_groups\[1\]\.param_str_match: 'no_such_layer'"):
        build_optimizer(config, load_gpt2(gpt2_dir))


def test_groups_that_take_every_parameter_leave_no_empty_one(gpt2_dir: Path) -> None:
    config = configured({"name": "adamw", "param_groups": [{"param_str_match": ".", "lr": 0.5}]})
    assert [group["lr"] for group in build_optimizer(config, load_gpt2(gpt2_dir)).param_groups] == [0.5]


def test_decay_pulls_only_the_weights_of_its_group() -> None:
    model = nn.Linear(2, 2)
    groups = [{"param_str_match": "bias", "weight_decay": 0.0}]
    settings = {"name": "decoupled_adamw", "lr": 1e-3, "weight_decay": 0.5, "param_groups": groups}
    before = weights(model)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    build_optimizer(configured(settings), model).step()
    after = weights(model)
    assert same({"bias": before["bias"]}, {"bias": after["bias"]})
    assert torch.allclose(after["weight"], before["weight"] * 0.5)
