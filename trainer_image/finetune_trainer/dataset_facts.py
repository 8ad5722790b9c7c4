"""What is told of prepared data outside of the run: in a termination message, and in /progress."""

from finetune_trainer.data.prepared import PreparedData
from finetune_trainer.observe.state import DatasetFacts


def dataset_facts(data: PreparedData) -> DatasetFacts:
    """Return the counts of the rows to train on, and the hash of everything that was prepared."""
    train = data.splits["train"]
    dropped = sum(drop.count for drop in train.dropped.values())
    return DatasetFacts(rows=train.rows, tokens=train.tokens, dropped=dropped, sha256=data.sha256)
