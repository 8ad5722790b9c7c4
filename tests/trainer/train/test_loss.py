"""The summed loss of a microbatch."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from finetune_trainer.train.layouts import Layout, lay_out
from finetune_trainer.train.loss import loss_sum, target_logits
from support.training import row


class Parrot(nn.Module):
    """A model that is as sure as `certainty` that every token is followed by itself."""

    def __init__(self, certainty: float, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.table = nn.Parameter((torch.eye(10) * certainty).to(dtype))

    def forward(self, *, input_ids: Tensor, logits_to_keep: Tensor, use_cache: bool, **rest: Any) -> SimpleNamespace:
        assert not use_cache
        return SimpleNamespace(logits=self.table[input_ids[logits_to_keep]])


def microbatch() -> Any:
    rows = [row([3, 3, 4], 1), row([5, 5], 1)]
    return lay_out(rows, Layout.TRIMMED, pad_id=0, padding_side="right", padded_to=0)


def test_the_loss_is_summed_over_targets_not_averaged() -> None:
    right = torch.log(torch.tensor(1 + 9 * torch.e**-2.0))  # minus the log of the chance given to the token itself
    assert loss_sum(Parrot(2.0), microbatch()).item() == pytest.approx(float(3 * right + 2), rel=1e-6)


def test_logits_come_only_for_kept_positions() -> None:
    assert target_logits(Parrot(1.0), microbatch()).shape == (3, 10)


def test_low_precision_logits_are_raised_before_the_loss_is_taken() -> None:
    loss = loss_sum(Parrot(2.0, torch.bfloat16), microbatch())
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(loss_sum(Parrot(2.0), microbatch()).item(), rel=1e-6)
