import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune_trainer.data.order import batches_per_epoch, epoch_order, rows_of_batch, rows_of_rank

COUNTS = st.integers(1, 60)
BATCHES = st.integers(1, 20)
SEEDS = st.integers(0, 2**31)


def take(position: int, n: int, batch: int, *, drop_last: bool = False, seed: int = 3) -> tuple[int, list[int]]:
    return rows_of_batch(position, n=n, batch=batch, drop_last=drop_last, shuffle=True, shuffle_seed=seed)


@given(n=COUNTS, epoch=st.integers(0, 5), seed=SEEDS)
def test_an_epoch_is_torchs_permutation_for_seed_plus_epoch(n: int, epoch: int, seed: int) -> None:
    expected = torch.randperm(n, generator=torch.Generator().manual_seed(seed + epoch)).tolist()
    assert epoch_order(n, epoch, shuffle=True, shuffle_seed=seed).tolist() == expected


@given(n=COUNTS, epoch=st.integers(0, 5))
def test_without_shuffle_rows_keep_their_order(n: int, epoch: int) -> None:
    assert epoch_order(n, epoch, shuffle=False, shuffle_seed=1).tolist() == list(range(n))


@given(n=COUNTS, batch=BATCHES, epoch=st.integers(0, 2))
def test_without_drop_last_an_epoch_has_each_row_once(n: int, batch: int, epoch: int) -> None:
    count = batches_per_epoch(n, batch, drop_last=False)
    parts = [take(epoch * count + i, n, batch) for i in range(count)]
    assert {e for e, _ in parts} == {epoch}
    assert [row for _, rows in parts for row in rows] == epoch_order(n, epoch, shuffle=True, shuffle_seed=3).tolist()
    assert all(len(rows) == batch for _, rows in parts[:-1])


@given(n=COUNTS, batch=BATCHES, position=st.integers(0, 50))
def test_with_drop_last_every_batch_is_full(n: int, batch: int, position: int) -> None:
    if batches_per_epoch(n, batch, drop_last=True) == 0:
        with pytest.raises(ValueError, match=f"{n} rows make no batch of {batch}"):
            take(position, n, batch, drop_last=True)
    else:
        assert len(take(position, n, batch, drop_last=True)[1]) == batch


@settings(max_examples=50)
@given(n=COUNTS, batch=BATCHES, world_size=st.integers(1, 8), position=st.integers(0, 10))
def test_any_number_of_ranks_sees_the_same_global_batch(n: int, batch: int, world_size: int, position: int) -> None:
    _, rows = take(position, n, batch)
    shares = [rows_of_rank(rows, rank, world_size) for rank in range(world_size)]
    assert [row for share in shares for row in share] == rows
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_the_order_cannot_be_changed_by_who_reads_it() -> None:
    with pytest.raises(ValueError, match="read-only"):
        epoch_order(4, 0, shuffle=True, shuffle_seed=0)[0] = 1
