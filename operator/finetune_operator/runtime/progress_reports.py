"""What rank 0 tells of its run; as it comes from a pod, none of it is taken on trust."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from finetune_api.status import DatasetStatus, ProgressStatus
from finetune_operator.dataset_report import dataset_in
from finetune_operator.progress_report import first_step_of, progress_of

MOST_BYTES: Final = 64 * 1024
_LONGEST: Final = 10 * 365 * 86400.0
"""No run is estimated to take longer."""


@dataclass(frozen=True)
class Report:
    """What was told, or why nothing was."""

    progress: ProgressStatus | None = None
    dataset: DatasetStatus | None = None
    error: str | None = None
    """In words, once rank 0 has been silent several times in a row."""
    first_step: int | None = None
    """The step that the attempt began after."""


def read_report(answer: bytes, now: datetime) -> Report:
    """Return what a /progress document says; raises ValueError for one that is no JSON object."""
    try:
        document = json.loads(answer, parse_constant=_refused)
    except RecursionError:
        raise ValueError("its answer is nested too deeply") from None
    if not isinstance(document, dict):
        raise ValueError("its answer is not a JSON object")
    return Report(_progress(document, now), dataset_in(document.get("dataset")), first_step=first_step_of(document))


def _refused(constant: str) -> float:
    raise ValueError(f"its answer holds {constant}")


def _progress(document: Mapping[str, Any], now: datetime) -> ProgressStatus:
    fields = dict(document)
    fields["lastStepTime"] = _moment(document.get("lastStepTime"))
    eta = _number(document.get("etaSeconds"))
    if eta is not None and 0 < eta < _LONGEST:
        fields["estimatedCompletionTime"] = now + timedelta(seconds=eta)
    return progress_of(fields)


def _moment(seconds: object) -> datetime | None:
    number = _number(seconds)
    if number is None or not 0 < number < 2**33:
        return None
    return datetime.fromtimestamp(number, UTC)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None
