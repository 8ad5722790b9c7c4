import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from finetune_trainer.length_histogram import length_histogram


@given(lengths=st.lists(st.integers(1, 5000), min_size=1, max_size=200), bars=st.integers(1, 40))
def test_every_row_is_counted_once_in_the_bar_that_covers_its_length(lengths: list[int], bars: int) -> None:
    histogram = length_histogram(np.array(lengths), bars)
    edges, counts = histogram["edges"], histogram["counts"]
    assert len(edges) == len(counts) + 1
    assert len(counts) <= bars
    for low, high, count in zip(edges, edges[1:], counts, strict=False):
        assert count == sum(low <= length < high for length in lengths)
    assert sum(counts) == len(lengths)


def test_rows_of_one_length_make_one_bar() -> None:
    assert length_histogram(np.array([7, 7, 7])) == {"edges": [7, 8], "counts": [3]}


def test_no_rows_make_no_bars() -> None:
    assert length_histogram(np.array([], dtype=np.int64)) == {"edges": [], "counts": []}
