"""How a rank's share of a global batch is cut into microbatches, as many on every rank."""

from finetune_trainer.data.order import rows_of_rank


def microbatches(rows: list[int], *, rank: int, ranks: int, size: int | None) -> list[list[int]]:
    """Return the row indices of each microbatch of this rank; `size` None means its whole share at once.

    Every rank gets the same number, because each of them is a collective when the model is sharded: a rank that runs
    out of rows gets empty ones.
    """
    share = rows_of_rank(rows, rank, ranks)
    largest = len(rows_of_rank(rows, 0, ranks))
    step = size or max(1, largest)
    return [share[start : start + step] for start in range(0, max(1, largest), step)]
