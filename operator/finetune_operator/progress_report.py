"""How far rank 0 says its run is, by the names of /progress; as it comes from a pod, none of it is taken on trust."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from finetune_api.status import ProgressStatus
from finetune_operator.facts import count, fact

_MOST_STEPS: Final = 2**53


@dataclass(frozen=True)
class LastWords:
    """What a training pod's termination message tells besides its outcome."""

    progress: ProgressStatus
    first_step: int | None = None
    """The step that the attempt began after."""


def progress_of(document: Mapping[str, Any]) -> ProgressStatus:
    """Return what a document tells; one absurd number does not hide the others."""
    try:
        return ProgressStatus.model_validate(document)
    except ValidationError as error:
        wrong = {str(problem["loc"][0]) for problem in error.errors(include_url=False, include_input=False)}
        return ProgressStatus.model_validate({key: value for key, value in document.items() if key not in wrong})


def first_step_of(document: Mapping[str, Any]) -> int | None:
    """Return the step after which the attempt began, when it tells a plausible one."""
    return count(document.get("firstStep"), _MOST_STEPS)


def last_words_of(told: str) -> LastWords | None:
    """Return `progress` of a termination message, or None when it holds none."""
    document = fact(told, "progress")
    return LastWords(progress_of(document), first_step_of(document)) if isinstance(document, dict) else None
