"""How long the rows of a dataset are, counted into a few bars for `run.json` and the report."""

from collections.abc import Iterable
from typing import TypedDict


class LengthHistogram(TypedDict):
    """Bar i counts the rows of `edges[i]` to `edges[i + 1] - 1` tokens."""

    edges: list[int]
    counts: list[int]


def length_histogram(lengths: Iterable[int], bars: int = 24) -> LengthHistogram:
    """Return at most `bars` equally wide bars that cover every row; no rows give no bars."""
    values = [int(length) for length in lengths]
    if not values:
        return {"edges": [], "counts": []}
    low, high = min(values), max(values)
    width = -(-(high - low + 1) // bars)
    counts = [0] * -(-(high - low + 1) // width)
    for value in values:
        counts[(value - low) // width] += 1
    return {"edges": [low + width * index for index in range(len(counts) + 1)], "counts": counts}
