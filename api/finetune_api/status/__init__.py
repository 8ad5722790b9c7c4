"""What the operator reports of a `FinetuneJob`."""

from finetune_api.status.conditions import (
    Condition,
    Conditions,
    condition_of,
    decisive_condition,
    is_terminal,
    is_true,
    state_of,
    with_condition,
)
from finetune_api.status.model import (
    ATTEMPTS_KEPT,
    LONGEST_GRACE,
    NEVER_OBSERVED,
    NODES_AVOIDED,
    AttemptStatus,
    DatasetStatus,
    FailureStatus,
    FrozenStatus,
    JobStatus,
    OutputsStatus,
    ProgressStatus,
)

__all__ = [
    "ATTEMPTS_KEPT",
    "LONGEST_GRACE",
    "NEVER_OBSERVED",
    "NODES_AVOIDED",
    "AttemptStatus",
    "Condition",
    "Conditions",
    "DatasetStatus",
    "FailureStatus",
    "FrozenStatus",
    "JobStatus",
    "OutputsStatus",
    "ProgressStatus",
    "condition_of",
    "decisive_condition",
    "is_terminal",
    "is_true",
    "state_of",
    "with_condition",
]
