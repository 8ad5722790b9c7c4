"""How a rank says that it ended, as its file in the run directory tells it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from finetune_api.outcomes import Outcome


@dataclass(frozen=True)
class RankOutcome:
    """How a rank, or the preparation (`rank` None), says it ended."""

    outcome: Outcome
    reason: str
    message: str
    rank: int | None
    step: int | None
    exit_code: int
    traceback: str | None
    monotonic_ns: int
    """`time.monotonic_ns()` when it was written: comparable between the processes of one machine."""
    pid: int


def parse_outcome(record: Mapping[str, Any] | None) -> RankOutcome | None:
    """Read what an outcome file holds; None for nothing, or for what is not an outcome."""
    if record is None:
        return None
    try:
        return RankOutcome(
            outcome=Outcome(record["outcome"]),
            reason=str(record["reason"]),
            message=str(record["message"]),
            rank=record["rank"],
            step=record["step"],
            exit_code=int(record["exitCode"]),
            traceback=record["traceback"],
            monotonic_ns=int(record["monotonicNs"]),
            pid=int(record["pid"]),
        )
    except (KeyError, TypeError, ValueError):
        return None
