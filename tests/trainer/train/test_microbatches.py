"""How a global batch is shared out: nothing lost, nothing twice, and as many microbatches on every rank."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_trainer.train.microbatches import microbatches


@given(count=st.integers(0, 40), ranks=st.integers(1, 7), size=st.none() | st.integers(1, 9))
def test_the_ranks_share_a_batch_in_order_with_as_many_microbatches_each(
    count: int, ranks: int, size: int | None
) -> None:
    rows = [100 + i for i in range(count)]
    parts = [microbatches(rows, rank=rank, ranks=ranks, size=size) for rank in range(ranks)]
    assert [row for part in parts for microbatch in part for row in microbatch] == rows
    assert len({len(part) for part in parts}) == 1
    assert all(len(microbatch) <= (size or count or 1) for part in parts for microbatch in part)


@pytest.mark.parametrize(("rank", "expected"), [(0, [[0, 1], [2]]), (1, [[3, 4], []])])
def test_a_rank_that_runs_out_of_rows_gets_an_empty_microbatch(rank: int, expected: list[list[int]]) -> None:
    assert microbatches([0, 1, 2, 3, 4], rank=rank, ranks=2, size=2) == expected


def test_without_a_size_the_whole_share_is_computed_at_once() -> None:
    assert microbatches([7, 8, 9], rank=0, ranks=1, size=None) == [[7, 8, 9]]
