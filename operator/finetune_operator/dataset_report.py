"""What a pod tells of the data; as it comes from a pod, none of it is taken on trust."""

from pydantic import ValidationError

from finetune_api.status import DatasetStatus
from finetune_operator.facts import fact


def dataset_of(told: str) -> DatasetStatus | None:
    """Return `dataset` of a termination message, or None when it holds none."""
    return dataset_in(fact(told, "dataset"))


def dataset_in(facts: object) -> DatasetStatus | None:
    """Return what `facts` tell, or None when they cannot be true."""
    try:
        return DatasetStatus.model_validate(facts)
    except ValidationError:
        return None
