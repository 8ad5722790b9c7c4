"""Errors that end a run: each says what is wrong, where, and what to do, and knows its outcome."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

from finetune_api.outcomes import Outcome


@dataclass(frozen=True)
class Problem:
    """One mistake: where it is, what it is, and what to do about it."""

    path: str
    message: str
    hint: str | None = None

    def __str__(self) -> str:
        text = f"{self.path}: {self.message}" if self.path else self.message
        return f"{text}; {self.hint}" if self.hint else text

    def under(self, prefix: str) -> "Problem":
        """Return the same mistake seen from outside, with `prefix` before its path."""
        return replace(self, path=f"{prefix}.{self.path}" if self.path else prefix)


class RunError(Exception):
    """A reason for a run to end; `str()` is the sentence shown to the user."""

    outcome: ClassVar[Outcome]
    reason: ClassVar[str | None] = None
    """A finer word than the outcome, where programs that read the last words need one."""

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        step: int | None = None,
        rank: int | None = None,
        user_traceback: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.step = step
        self.rank = rank
        self.user_traceback = user_traceback

    def __str__(self) -> str:
        if not self.hint:
            return self.message
        stop = "" if self.message.endswith((".", "!", "?")) else "."
        return f"{self.message}{stop} {self.hint}"


class ConfigInvalid(RunError):
    """The configuration has mistakes; `problems` lists all of them."""

    outcome = Outcome.CONFIG_INVALID
    problems: tuple[Problem, ...] = ()

    @classmethod
    def of(cls, problems: Sequence[Problem]) -> Self:
        """Build the error that reports `problems` (at least one) together."""
        error = cls(_summary(problems))
        error.problems = tuple(problems)
        return error


def _summary(problems: Sequence[Problem]) -> str:
    if len(problems) == 1:
        return str(problems[0])
    lines = "".join(f"\n  {problem}" for problem in problems)
    return f"{len(problems)} mistakes in the configuration:{lines}"


class DatasetInvalid(RunError):
    """The dataset is missing, broken, or leaves nothing to train on."""

    outcome = Outcome.DATASET_INVALID


class PreprocessingFailed(RunError):
    """The user's preprocessing function is missing, raised, or returned the wrong shape."""

    outcome = Outcome.PREPROCESSING_FAILED


class ModelUnavailable(RunError):
    """The model or tokenizer is missing, gated, or of a kind that cannot be trained here."""

    outcome = Outcome.MODEL_UNAVAILABLE


class OutOfMemory(RunError):
    """Memory ran out at the smallest microbatch."""

    outcome = Outcome.OUT_OF_MEMORY


class Diverged(RunError):
    """The loss or the gradient norm is not finite."""

    outcome = Outcome.DIVERGED


class Retryable(RunError):
    """Something outside the run failed: a peer, a collective, a disk, the network."""

    outcome = Outcome.RETRYABLE


class Superseded(Retryable):
    """A newer attempt of the same job has claimed the output."""

    reason = "Superseded"


class PreflightFailed(Retryable):
    """The nodes of an attempt cannot work together; found before training begins."""

    reason = "PreflightFailed"

    def __init__(self, message: str, *, suspects: Sequence[int] = (), hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.suspects = list(suspects)


class Preempted(RunError):
    """The run was asked to leave by SIGTERM and has saved a checkpoint."""

    outcome = Outcome.PREEMPTED


class Interrupted(RunError):
    """The run was interrupted by SIGINT and has saved a checkpoint."""

    outcome = Outcome.INTERRUPTED
