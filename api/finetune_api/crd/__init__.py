"""The CustomResourceDefinition of FinetuneJobs; `python -m finetune_api.crd` writes it."""

from finetune_api.crd.definition import PLURAL, crd, crd_yaml, job_schema
from finetune_api.crd.structural import structural_schema

__all__ = ["PLURAL", "crd", "crd_yaml", "job_schema", "structural_schema"]
