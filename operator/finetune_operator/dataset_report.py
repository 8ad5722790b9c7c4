"""What a pod tells of the data; as it comes from a pod, none of it is taken on trust."""

import json

from pydantic import ValidationError

from finetune_api.status import DatasetStatus


def dataset_of(told: str) -> DatasetStatus | None:
    """Return `dataset` of a termination message, or None when it holds none."""
    try:
        return dataset_in(json.loads(told)["dataset"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def dataset_in(facts: object) -> DatasetStatus | None:
    """Return what `facts` tell, or None when they cannot be true."""
    try:
        return DatasetStatus.model_validate(facts)
    except ValidationError:
        return None
