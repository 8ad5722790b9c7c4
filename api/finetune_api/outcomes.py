"""How a run ends: exit codes, reasons and retry policies in one table, and the termination message."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

TERMINATION_MESSAGE_BYTES: Final = 4096
"""What Kubernetes keeps of a container's termination message."""
_PLAUSIBLE: Final[Mapping[str, range]] = MappingProxyType(
    {"rank": range(2**31), "step": range(2**53), "exitCode": range(-255, 256), "exit_code": range(-255, 256)}
)
"""Numbers that a message may tell; any process of a pod can write one, so another number is passed over."""


class Outcome(StrEnum):
    """How a run, or one rank of it, ended."""

    SUCCEEDED = "Succeeded"
    CONFIG_INVALID = "ConfigInvalid"
    DATASET_INVALID = "DatasetInvalid"
    PREPROCESSING_FAILED = "PreprocessingFailed"
    MODEL_UNAVAILABLE = "ModelUnavailable"
    OUT_OF_MEMORY = "OutOfMemory"
    DIVERGED = "Diverged"
    RETRYABLE = "Retryable"
    INTERRUPTED = "Interrupted"
    PREEMPTED = "Preempted"
    CRASHED = "Crashed"


class RetryPolicy(StrEnum):
    """What is done after an outcome."""

    COMPLETE = "Complete"
    NEVER = "Never"
    WITHIN_BUDGET = "WithinBudget"
    FREE = "Free"
    """Restarted without touching the restart budget."""


@dataclass(frozen=True)
class Ending:
    """One row of the table of outcomes."""

    exit_code: int
    outcome: Outcome
    retry: RetryPolicy
    sentence: str


ENDINGS: Final = (
    Ending(0, Outcome.SUCCEEDED, RetryPolicy.COMPLETE, "The run finished and its model is exported."),
    Ending(2, Outcome.CONFIG_INVALID, RetryPolicy.NEVER, "The configuration has a mistake."),
    Ending(3, Outcome.DATASET_INVALID, RetryPolicy.NEVER, "The dataset cannot be used as it is."),
    Ending(4, Outcome.PREPROCESSING_FAILED, RetryPolicy.NEVER, "The preprocessing function failed."),
    Ending(5, Outcome.MODEL_UNAVAILABLE, RetryPolicy.NEVER, "The model or its tokenizer cannot be used."),
    Ending(6, Outcome.OUT_OF_MEMORY, RetryPolicy.NEVER, "Memory ran out at the smallest microbatch."),
    Ending(7, Outcome.DIVERGED, RetryPolicy.NEVER, "The loss or the gradient is no longer finite."),
    Ending(75, Outcome.RETRYABLE, RetryPolicy.WITHIN_BUDGET, "Something outside the run failed; try again."),
    Ending(130, Outcome.INTERRUPTED, RetryPolicy.WITHIN_BUDGET, "The run was interrupted from the keyboard."),
    Ending(143, Outcome.PREEMPTED, RetryPolicy.FREE, "The run was asked to leave and saved a checkpoint."),
    Ending(1, Outcome.CRASHED, RetryPolicy.WITHIN_BUDGET, "A process ended without saying why."),
)

_BY_OUTCOME: Final = {ending.outcome: ending for ending in ENDINGS}
_BY_CODE: Final = {ending.exit_code: ending for ending in ENDINGS}


def ending_of(outcome: Outcome) -> Ending:
    """Return the row of the table that describes `outcome`."""
    return _BY_OUTCOME[outcome]


def exit_code(outcome: Outcome) -> int:
    """Return the exit code of a process that ends with `outcome`."""
    return _BY_OUTCOME[outcome].exit_code


def retry_policy(outcome: Outcome) -> RetryPolicy:
    """Return what is done after `outcome`."""
    return _BY_OUTCOME[outcome].retry


def outcome_of_exit(code: int) -> Outcome:
    """Return what exit `code` says by itself; a negative code is a signal, which is a crash.

    143 alone does not prove a saved checkpoint: only an outcome written by the process does.
    """
    ending = _BY_CODE.get(code)
    return ending.outcome if ending else Outcome.CRASHED


class TerminationMessage(BaseModel):
    """Why a run ended, as JSON of at most 4,096 bytes, always in agreement with the exit code."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", validate_by_name=True, validate_by_alias=True, serialize_by_alias=True
    )

    outcome: Outcome = Field(description="How the run ended.")
    reason: Annotated[str, Field(max_length=128)] = Field(
        default="", description="CamelCase reason; the outcome itself unless something finer is known."
    )
    message: str = Field(default="", description="One sentence for a person: what, where, what to do.")
    rank: int | None = Field(default=None, description="The rank that failed first.")
    step: int | None = Field(default=None, description="The last optimizer step that rank finished.")
    exit_code: int = Field(default=-1, alias="exitCode", description="The exit code; the outcome's own unless given.")
    traceback: str | None = Field(default=None, description="The end of the traceback, if there is one.")

    @model_validator(mode="before")
    @classmethod
    def _believe(cls, told: Any) -> Any:
        if not isinstance(told, dict):
            return told
        return {name: value for name, value in told.items() if name not in _PLAUSIBLE or _plausible(name, value)}

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if not self.reason:
            object.__setattr__(self, "reason", self.outcome.value)
        if "exit_code" not in self.model_fields_set:
            object.__setattr__(self, "exit_code", exit_code(self.outcome))
        return self

    def to_json(self, facts: Mapping[str, object] = MappingProxyType({})) -> str:
        """Return JSON of at most 4,096 UTF-8 bytes: the traceback gives way first, keeping its end.

        `facts`, which must be small, stand beside the message as further keys.
        """
        if _fits(self._json(facts, self.message, self.traceback)):
            return self._json(facts, self.message, self.traceback)
        trace = self.traceback or ""
        kept = _longest(len(trace), lambda n: _fits(self._json(facts, self.message, _last(trace, n))))
        if kept is not None:
            return self._json(facts, self.message, _last(trace, kept))
        kept = _longest(len(self.message), lambda n: _fits(self._json(facts, self.message[:n], None)))
        return self._json(facts, self.message[: kept or 0], None)

    def _json(self, facts: Mapping[str, object], message: str, traceback: str | None) -> str:
        fields = {**self.model_dump(mode="json", exclude={"message", "traceback"}), **facts}
        fields |= {"message": _encodable(message), "traceback": traceback and _encodable(traceback)}
        return json.dumps(fields, ensure_ascii=False)

    @classmethod
    def parse(cls, text: str) -> "TerminationMessage | None":
        """Return the message in `text`, or None when it holds none: a pod may write anything there."""
        try:
            return cls.model_validate_json(text)
        except ValidationError:
            return None


def _plausible(name: str, value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value in _PLAUSIBLE[name]


def _last(text: str, count: int) -> str | None:
    return text[len(text) - count :] if count else None


def _fits(text: str) -> bool:
    return len(text.encode()) <= TERMINATION_MESSAGE_BYTES


def _encodable(text: str) -> str:
    # Paths and exceptions may carry lone surrogates, which UTF-8 cannot hold.
    return text.encode(errors="replace").decode()


def _longest(most: int, fits: Callable[[int], bool]) -> int | None:
    """Return the largest count up to `most` that fits, or None when not even zero does."""
    if not fits(0):
        return None
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low
