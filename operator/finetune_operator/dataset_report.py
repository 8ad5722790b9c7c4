"""What a prepare pod tells of the data, beside its outcome; as it comes from a pod, none of it is taken on trust."""

import json

from pydantic import ValidationError

from finetune_api.status import DatasetStatus


def dataset_of(told: str) -> DatasetStatus | None:
    """Return `dataset` of a termination message, or None when it holds none."""
    try:
        message = json.loads(told)
        return DatasetStatus.model_validate(message["dataset"])
    except (ValueError, ValidationError, KeyError, TypeError, RecursionError):
        return None
