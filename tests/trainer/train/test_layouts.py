"""Padded, trimmed and padding-free rows: one loss, one set of gradients."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune_trainer.data.arrow_file import TokenizedRow
from finetune_trainer.train.attention import use_per_row_attention
from finetune_trainer.train.layouts import Layout, Microbatch, lay_out, shifted, target_count
from finetune_trainer.train.loss import loss_sum
from support.models import tiny_gpt2
from support.training import VOCABULARY, load_gpt2, random_rows, row, tiny_llama, tiny_mpt

WIDTH = 20
EVERY_WAY = [(layout, side) for layout in Layout for side in ("right", "left")]


def placed(rows: list[TokenizedRow], layout: Layout, side: str = "right") -> Microbatch:
    return lay_out(rows, layout, pad_id=7, padding_side=side, padded_to=WIDTH)


@st.composite
def some_rows(draw: st.DrawFn) -> list[TokenizedRow]:
    rows = []
    for _ in range(draw(st.integers(1, 4))):
        ids = draw(st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=10))
        rows.append(row(ids, draw(st.integers(0, len(ids)))))
    return rows


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[Layout, torch.nn.Module]:
    """The same GPT-2 for every layout, with the attention that the layout needs."""
    directory = tiny_gpt2(tmp_path_factory.mktemp("gpt2"))
    packed = load_gpt2(directory)
    assert use_per_row_attention(packed)
    return {Layout.PADDED: load_gpt2(directory), Layout.TRIMMED: load_gpt2(directory), Layout.PADDING_FREE: packed}


def gradients(model: torch.nn.Module, microbatch: Microbatch) -> tuple[float, torch.Tensor]:
    model.zero_grad()
    loss = loss_sum(model, microbatch)
    torch.autograd.backward(loss)
    return float(loss.detach()), torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def row_by_row(model: torch.nn.Module, rows: list[TokenizedRow]) -> tuple[float, torch.Tensor]:
    """Return the same with Hugging Face's own loss, one row at a time and no padding at all."""
    model.zero_grad()
    total = torch.zeros(())
    for entry in rows:
        if target_count(entry):
            ids, labels = torch.tensor(entry.input_ids)[None], torch.tensor(entry.labels)[None]
            total = total + model(input_ids=ids, labels=labels).loss * target_count(entry)
    torch.autograd.backward(total)
    return float(total.detach()), torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


@settings(max_examples=25, deadline=None)
@given(rows=some_rows().filter(lambda rows: any(map(target_count, rows))))
def test_every_layout_gives_the_loss_and_gradients_of_the_rows_alone(
    models: dict[Layout, torch.nn.Module], rows: list[TokenizedRow]
) -> None:
    loss, gradient = row_by_row(models[Layout.TRIMMED], rows)
    for layout, side in EVERY_WAY:
        ours, our_gradient = gradients(models[layout], placed(rows, layout, side))
        assert ours == pytest.approx(loss, rel=1e-5), (layout, side)
        assert torch.allclose(our_gradient, gradient, rtol=1e-4, atol=1e-5 * float(gradient.abs().max()))


def test_rows_without_targets_cost_nothing_and_still_reach_every_weight(
    models: dict[Layout, torch.nn.Module],
) -> None:
    for layout, model in models.items():
        loss, gradient = gradients(model, placed([row([5, 6, 7], 3), row([8], 0)], layout))
        assert loss == 0.0
        assert gradient.numel() == sum(p.numel() for p in model.parameters())
        assert not gradient.any()


def test_where_there_is_no_target_one_position_is_kept_all_the_same() -> None:
    for layout, rows in [(layout, rows) for layout in Layout for rows in ([row([5, 6, 7], 3)], [])]:
        microbatch = placed(rows, layout)
        assert int(microbatch.keep.sum()) == 1
        assert microbatch.targets.tolist() == [-100]


def test_no_rows_give_a_dummy_that_costs_nothing_and_counts_no_position(
    models: dict[Layout, torch.nn.Module],
) -> None:
    for layout, model in models.items():
        dummy = placed([], layout)
        loss, gradient = gradients(model, dummy)
        assert (loss, dummy.positions) == (0.0, 0)
        assert gradient.numel() == sum(p.numel() for p in model.parameters())
        assert not gradient.any()


@pytest.mark.parametrize(("layout", "positions"), [("padded", 2 * WIDTH), ("trimmed", 10), ("padding_free", 8)])
def test_the_computed_positions_are_counted(layout: str, positions: int) -> None:
    assert placed([row([1, 2, 3], 1), row([4, 5, 6, 7, 8], 2)], Layout(layout)).positions == positions


def test_logits_are_kept_only_where_there_is_a_target() -> None:
    rows = [row([11, 12, 13], 2), row([14, 15, 16, 17], 1)]
    for layout, side in EVERY_WAY:
        microbatch = placed(rows, layout, side)
        assert int(microbatch.keep.sum()) == 4
        assert microbatch.targets.tolist() == [13, 15, 16, 17]
        kept = microbatch.inputs["input_ids"][microbatch.keep].tolist()
        assert kept == [12, 14, 15, 16]  # each target is predicted from the token before it


@pytest.mark.parametrize("side", ["right", "left"])
def test_padding_is_masked_by_position_even_where_it_looks_like_a_token(side: str) -> None:
    rows = [row([7, 7, 7], 1), row([7, 1, 2, 3, 7], 1)]  # 7 is the padding, too
    inputs = placed(rows, Layout.TRIMMED, side).inputs
    real = [1, 1, 1, 0, 0] if side == "right" else [0, 0, 1, 1, 1]
    places = [0, 1, 2, 0, 0] if side == "right" else [0, 0, 0, 1, 2]
    assert inputs["attention_mask"].tolist() == [real, [1] * 5]
    assert inputs["position_ids"].tolist() == [places, [0, 1, 2, 3, 4]]


def test_positions_begin_anew_with_every_row_laid_end_to_end() -> None:
    inputs = placed([row([1, 2], 1), row([3, 4, 5], 1)], Layout.PADDING_FREE).inputs
    assert inputs["input_ids"].tolist() == [[1, 2, 3, 4, 5]]
    assert inputs["position_ids"].tolist() == [[0, 1, 0, 1, 2]]
    assert inputs["row_lengths"] == (2, 3)
    assert "attention_mask" not in inputs


def test_the_last_token_predicts_nothing_and_the_first_is_predicted_by_nothing() -> None:
    assert shifted(row([1, 2, 3], 0)).tolist() == [2, 3, -100]
    assert target_count(row([1, 2, 3], 0)) == 2
    assert target_count(row([1], 0)) == 0


def test_a_microbatch_moves_as_a_whole() -> None:
    moved = placed(random_rows(2), Layout.PADDING_FREE).to(torch.device("meta"))
    assert {moved.keep.device.type, moved.targets.device.type, moved.inputs["input_ids"].device.type} == {"meta"}
    assert isinstance(moved.inputs["row_lengths"], tuple)


@pytest.mark.parametrize("side", ["right", "left"])
def test_a_llama_costs_the_same_in_every_layout(side: str) -> None:
    rows = random_rows(4, seed=3)
    loss, gradient = row_by_row(tiny_llama(), rows)
    packed = tiny_llama()
    assert use_per_row_attention(packed)
    for layout in Layout:
        model = packed if layout is Layout.PADDING_FREE else tiny_llama()
        ours, our_gradient = gradients(model, placed(rows, layout, side))
        assert ours == pytest.approx(loss, rel=1e-5)
        assert torch.allclose(our_gradient, gradient, rtol=1e-4, atol=1e-5 * float(gradient.abs().max()))


def test_an_mpt_costs_the_same_with_and_without_padding() -> None:
    rows = random_rows(4, seed=4)
    model = tiny_mpt()
    loss, gradient = row_by_row(model, rows)
    for layout in (Layout.PADDED, Layout.TRIMMED):
        ours, our_gradient = gradients(model, placed(rows, layout))
        assert ours == pytest.approx(loss, rel=1e-5)
        assert torch.allclose(our_gradient, gradient, rtol=1e-4, atol=1e-5 * float(gradient.abs().max()))


def test_the_arrays_of_a_row_are_left_alone() -> None:
    rows = random_rows(3)
    copies = [(entry.input_ids.copy(), entry.labels.copy()) for entry in rows]
    for layout, side in EVERY_WAY:
        placed(rows, layout, side)
    for entry, (ids, labels) in zip(rows, copies, strict=True):
        assert np.array_equal(entry.input_ids, ids)
        assert np.array_equal(entry.labels, labels)
