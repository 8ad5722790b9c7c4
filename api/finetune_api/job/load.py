"""From a manifest to a `FinetuneJob`, or to all of its mistakes at once."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from finetune_api.config.problems import problems_of
from finetune_api.config.screen import screen
from finetune_api.errors import ConfigInvalid, Problem
from finetune_api.job.job import FinetuneJob
from finetune_api.job.rules import rule_problems
from finetune_api.yaml_text import parse_yaml


def load_job(document: Mapping[str, Any] | str) -> FinetuneJob:
    """Read a FinetuneJob from YAML text or plain values; `spec.config` is not looked into.

    Raises ConfigInvalid with all mistakes at once.
    """
    value = _single(document) if isinstance(document, str) else document
    if not isinstance(value, Mapping):
        raise ConfigInvalid.of([Problem("", "expected a mapping with apiVersion, kind, metadata and spec")])
    kept, screening = screen(FinetuneJob, value)
    problems = screening.problems
    try:
        job = FinetuneJob.model_validate(kept)
    except ValidationError as error:
        raise ConfigInvalid.of([*problems, *problems_of(error.errors(include_url=False), kept)]) from None
    problems = [*problems, *rule_problems(job)]
    if problems:
        raise ConfigInvalid.of(problems)
    return job


def _single(text: str) -> Any:
    documents = parse_yaml(text)
    if len(documents) != 1:
        raise ConfigInvalid.of([Problem("", f"expected one FinetuneJob, found {len(documents)} documents")])
    return documents[0].value
