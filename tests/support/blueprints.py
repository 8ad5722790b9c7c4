"""Blueprints of children for tests."""

from typing import Any

from finetune_api.config import parse_training_config
from finetune_api.job import load_job
from finetune_operator.children.blueprint import Blueprint
from finetune_operator.settings import Settings
from support.configs import manifest
from support.operator_jobs import local_training


def blueprint(settings: Settings | None = None, config: dict[str, Any] | None = None, **spec: Any) -> Blueprint:
    """An accepted job called arc-easy with this spec."""
    job = load_job(manifest(config or local_training(), **spec))
    return Blueprint(
        name="arc-easy",
        namespace="team",
        uid="job-uid",
        spec=job.spec,
        config=parse_training_config(job.spec.config).config,
        image=job.spec.image or "trainer:1",
        inline=job.spec.prepare.mode == "Inline",
        settings=settings or Settings(),
    )
