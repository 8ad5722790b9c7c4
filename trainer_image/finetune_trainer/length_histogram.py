"""How long the rows of a dataset are, counted into a few bars for `run.json` and the report."""

from typing import Any, TypedDict

import numpy as np


class LengthHistogram(TypedDict):
    """Bar i counts the rows of `edges[i]` to `edges[i + 1] - 1` tokens."""

    edges: list[int]
    counts: list[int]


def length_histogram(lengths: "np.ndarray[Any, np.dtype[np.int64]]", bars: int = 24) -> LengthHistogram:
    """Return at most `bars` equally wide bars that cover every row; no rows give no bars."""
    if not len(lengths):
        return {"edges": [], "counts": []}
    low, high = int(lengths.min()), int(lengths.max())
    width = -(-(high - low + 1) // bars)
    counts = np.bincount((lengths - low) // width).tolist()
    return {"edges": [low + width * index for index in range(len(counts) + 1)], "counts": counts}
