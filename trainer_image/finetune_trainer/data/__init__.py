"""Prepare a dataset once: load, preprocess, tokenize, and store it under a content hash."""

from finetune_trainer.data.arrow_file import TokenizedDataset, TokenizedRow
from finetune_trainer.data.cache import default_cache
from finetune_trainer.data.pipeline import prepare
from finetune_trainer.data.prepared import Drop, PreparedData, PreparedSplit, load_prepared

__all__ = [
    "Drop",
    "PreparedData",
    "PreparedSplit",
    "TokenizedDataset",
    "TokenizedRow",
    "default_cache",
    "load_prepared",
    "prepare",
]
