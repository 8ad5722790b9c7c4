"""`FinetuneJob`, the object that asks for one fine-tuning run."""

from finetune_api.job.job import GROUP, KIND, NAME_LENGTH, VERSION, FinetuneJob, FinetuneJobSpec, Metadata
from finetune_api.job.load import load_job
from finetune_api.job.rules import RULES, Rule

__all__ = [
    "GROUP",
    "KIND",
    "NAME_LENGTH",
    "RULES",
    "VERSION",
    "FinetuneJob",
    "FinetuneJobSpec",
    "Metadata",
    "Rule",
    "load_job",
]
