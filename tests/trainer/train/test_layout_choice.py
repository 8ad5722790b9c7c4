"""Which layout a run uses, and that a model whose rows would see each other never goes without padding."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GPT2LMHeadModel, PreTrainedModel

from finetune_api.config import TrainingConfig
from finetune_trainer.train.layout_choice import choose_layout
from finetune_trainer.train.layouts import Layout, lay_out
from finetune_trainer.train.loss import loss_sum
from support.training import (
    ALONE,
    dataset_of,
    load_gpt2,
    random_rows,
    row,
    tiny_llama,
    tiny_mpt,
    training_config,
)

ROWS = random_rows(5, seed=1)


class Leaking(GPT2LMHeadModel):  # type: ignore[misc]  # transformers carries no types
    """A GPT-2 that takes all rows for one."""

    def forward(self, *args: Any, row_lengths: tuple[int, ...] | None = None, **inputs: Any) -> Any:
        whole = {} if row_lengths is None else {"row_lengths": (sum(row_lengths),)}
        return super().forward(*args, **inputs, **whole)


class Deaf(GPT2LMHeadModel):  # type: ignore[misc]
    """A GPT-2 that does not hand row lengths on to its attention."""

    def forward(self, *args: Any, row_lengths: tuple[int, ...] | None = None, **inputs: Any) -> Any:
        return super().forward(*args, **inputs)


def config(dataset: dict[str, Any] | None = None, model: dict[str, Any] | None = None) -> TrainingConfig:
    loader = {"name": "finetuning", "dataset": {"hf_name": "json", **(dataset or {})}}
    named = {"name": "hf_causal_lm", "pretrained_model_name_or_path": "gpt2", **(model or {})}
    return training_config(Path("gpt2"), {"train_loader": loader, "model": named})


def losses(model: PreTrainedModel, layout: Layout) -> float:
    microbatch = lay_out(ROWS, layout, pad_id=0, padding_side="right", padded_to=16)
    with torch.no_grad():
        return float(loss_sum(model, microbatch))


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_a_model_whose_rows_stay_apart_goes_without_padding_at_the_same_loss(kind: str, gpt2_dir: Path) -> None:
    model = load_gpt2(gpt2_dir) if kind == "gpt2" else tiny_llama()
    before = losses(model, Layout.TRIMMED)
    layout, reason = choose_layout(config(), model, dataset_of(ROWS), ALONE)
    assert layout is Layout.PADDING_FREE
    assert "own logits" in reason
    assert losses(model, layout) == pytest.approx(before, rel=1e-5)


def test_an_mpt_is_trimmed() -> None:
    model = tiny_mpt()
    before = losses(model, Layout.TRIMMED)
    layout, reason = choose_layout(config(), model, dataset_of(ROWS), ALONE)
    assert layout is Layout.TRIMMED
    assert reason == "MptForCausalLM has no replaceable attention"
    assert losses(model, layout) == before


@pytest.mark.parametrize("kind", [Leaking, Deaf])
@pytest.mark.parametrize("rows", [ROWS, ROWS[:1], [row([5, 6], 1)] * 2], ids=["several", "one", "equal"])
def test_a_model_whose_rows_would_see_each_other_is_trimmed(kind: Any, rows: list[Any], gpt2_dir: Path) -> None:
    model = kind.from_pretrained(gpt2_dir)
    before = losses(model, Layout.TRIMMED)
    layout, reason = choose_layout(config(), model, dataset_of(rows), ALONE)
    assert layout is Layout.TRIMMED
    assert reason == f"{kind.__name__} gives other logits when rows are laid end to end"
    assert losses(model, layout) == before  # with its own attention again


@pytest.mark.parametrize(
    ("dataset", "layout"),
    [
        ({"allow_pad_trimming": False}, Layout.PADDED),
        ({"allow_pad_trimming": True}, Layout.TRIMMED),
        ({"pad_to_longest": True}, Layout.TRIMMED),
        ({"pad_to_longest": False}, Layout.PADDING_FREE),
        ({"allow_pad_trimming": False, "pad_to_longest": True}, Layout.TRIMMED),
    ],
)
def test_what_the_file_asks_for_is_done(dataset: dict[str, Any], layout: Layout, gpt2_dir: Path) -> None:
    assert choose_layout(config(dataset), load_gpt2(gpt2_dir), dataset_of(ROWS), ALONE)[0] is layout


def test_an_attention_that_the_file_names_is_kept(gpt2_dir: Path) -> None:
    model = load_gpt2(gpt2_dir)
    layout, reason = choose_layout(config(model={"attn_implementation": "eager"}), model, dataset_of(ROWS), ALONE)
    assert layout is Layout.TRIMMED
    assert "attn_implementation" in reason
