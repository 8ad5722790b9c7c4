"""Which rows make up which global batch: a pure function of the seed, the same on any number of ranks.

Torch draws the permutation and is imported only when a shuffled order is asked for.
"""

from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Order = np.ndarray[Any, np.dtype[np.int64]]


def epoch_order(n: int, epoch: int, *, shuffle: bool, shuffle_seed: int) -> "Order":
    """Return the `n` row indices in the order of an epoch (int64, read-only).

    Shuffled, it is `torch.randperm(n)` of a generator seeded `shuffle_seed + epoch`; otherwise 0 to n - 1.
    """
    return _shuffled(n, shuffle_seed + epoch) if shuffle else _in_file_order(n)


def batches_per_epoch(n: int, batch: int, drop_last: bool) -> int:
    """Return how many global batches of `batch` rows an epoch of `n` rows has."""
    return n // batch if drop_last else -(-n // batch)


def rows_of_batch(
    position: int, *, n: int, batch: int, drop_last: bool, shuffle: bool, shuffle_seed: int
) -> tuple[int, list[int]]:
    """Return the epoch and the row indices of global batch `position`, counted from 0 over the whole run.

    Costs one permutation per epoch and a slice. Without `drop_last` an epoch's last batch may be short.
    """
    per_epoch = batches_per_epoch(n, batch, drop_last)
    if per_epoch == 0:
        raise ValueError(f"{n} rows make no batch of {batch}")
    epoch, index = divmod(position, per_epoch)
    order = epoch_order(n, epoch, shuffle=shuffle, shuffle_seed=shuffle_seed)
    return epoch, order[index * batch : (index + 1) * batch].tolist()


def rows_of_rank(rows: list[int], rank: int, world_size: int) -> list[int]:
    """Return a rank's share of a global batch: consecutive rows, at most one more than another's."""
    share, extra = divmod(len(rows), world_size)
    start = rank * share + min(rank, extra)
    return rows[start : start + share + (rank < extra)]


# Two entries: the epoch that ends and the one that begins.
@lru_cache(maxsize=2)
def _shuffled(n: int, seed: int) -> "Order":
    import torch

    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed)).numpy()
    order.flags.writeable = False
    return order


@lru_cache(maxsize=2)
def _in_file_order(n: int) -> "Order":
    import numpy as np

    order = np.arange(n, dtype=np.int64)
    order.flags.writeable = False
    return order
