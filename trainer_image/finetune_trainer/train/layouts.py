"""How the rows of a microbatch are laid out for the model: padded, trimmed, or end to end without padding.

All three compute the same loss. Labels are shifted here, and only positions that have a target ever get logits.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
import torch
from torch import Tensor

from finetune_trainer.data.arrow_file import TokenizedRow
from finetune_trainer.data.assembly import IGNORED


class Layout(StrEnum):
    """The ways to place rows in a tensor."""

    PADDED = "padded"
    TRIMMED = "trimmed"
    PADDING_FREE = "padding_free"


@dataclass(frozen=True)
class Microbatch:
    """The model's inputs, and the targets of the positions that get logits.

    `keep` is a boolean mask (batch, sequence); logits come back as (kept, vocabulary) and `targets` is (kept,), with
    -100 at the one position that is kept when there is no target at all. `positions` counts the computed ones.
    """

    inputs: dict[str, Any]
    keep: Tensor
    targets: Tensor
    positions: int

    def to(self, device: torch.device) -> "Microbatch":
        """Return the same microbatch with its tensors on `device`."""
        moved = {k: v.to(device) if isinstance(v, Tensor) else v for k, v in self.inputs.items()}
        return Microbatch(moved, self.keep.to(device), self.targets.to(device), self.positions)


def shifted(row: TokenizedRow) -> np.ndarray:
    """Return the row's next-token targets, -100 where there is none; shape (tokens,)."""
    return np.append(row.labels[1:], IGNORED)


def target_count(row: TokenizedRow) -> int:
    """Return the number of tokens of this row that the loss counts."""
    return int((row.labels[1:] != IGNORED).sum())


def lay_out(
    rows: Sequence[TokenizedRow], layout: Layout, *, pad_id: int, padding_side: str, padded_to: int
) -> Microbatch:
    """Return a microbatch of these rows; no rows give a dummy without targets, which keeps ranks in step."""
    if not rows:
        return _dummy(layout)
    if layout is Layout.PADDING_FREE:
        return _padding_free(rows)
    width = padded_to if layout is Layout.PADDED else max(len(row.input_ids) for row in rows)
    return _padded(rows, width, pad_id, padding_side)


def _padding_free(rows: Sequence[TokenizedRow]) -> Microbatch:
    lengths = tuple(len(row.input_ids) for row in rows)
    targets = np.concatenate([shifted(row) for row in rows])[None]
    inputs = {
        "input_ids": _tensor(np.concatenate([row.input_ids for row in rows])[None]),
        "position_ids": _tensor(np.concatenate([np.arange(length) for length in lengths])[None]),
        "row_lengths": lengths,
    }
    return _microbatch(inputs, targets)


def _padded(rows: Sequence[TokenizedRow], width: int, pad_id: int, padding_side: str) -> Microbatch:
    shape = (len(rows), width)
    ids, mask = np.full(shape, pad_id), np.zeros(shape, dtype=np.int64)
    places, targets = np.zeros(shape, dtype=np.int64), np.full(shape, IGNORED)
    for index, row in enumerate(rows):
        length = len(row.input_ids)
        start = width - length if padding_side == "left" else 0
        real = slice(start, start + length)
        ids[index, real], mask[index, real] = row.input_ids, 1
        places[index, real], targets[index, real] = np.arange(length), shifted(row)
    inputs = {
        "input_ids": _tensor(ids),
        "attention_mask": _tensor(mask),
        "position_ids": _tensor(places),
    }
    return _microbatch(inputs, targets)


def _dummy(layout: Layout) -> Microbatch:
    one = torch.zeros(1, 1, dtype=torch.long)
    inputs: dict[str, Any] = {"input_ids": one, "position_ids": one}
    inputs |= {"row_lengths": (1,)} if layout is Layout.PADDING_FREE else {"attention_mask": one + 1}
    return replace(_microbatch(inputs, np.full((1, 1), IGNORED)), positions=0)


def _microbatch(inputs: dict[str, Any], targets: np.ndarray) -> Microbatch:
    keep = targets != IGNORED
    if not keep.any():
        # Without logits there is no backward pass, and a rank that skips one leaves its peers waiting.
        keep[0, 0] = True
    return Microbatch(inputs, torch.from_numpy(keep), _tensor(targets[keep]), targets.size)


def _tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.int64))
