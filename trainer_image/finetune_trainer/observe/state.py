"""The newest facts about a run, written by the training loop and read by the server's threads."""

import math
import threading
from dataclasses import dataclass, fields, replace
from typing import TypedDict, Unpack


@dataclass(frozen=True)
class Progress:
    """One moment of a run; None means not known yet."""

    phase: str = "import"
    """import, prepare, load, train, eval, save, export or done."""
    step: int = 0
    """Optimizer steps finished."""
    total_steps: int | None = None
    first_step: int | None = None
    """Steps that earlier attempts had finished when this one began."""
    epoch: int | None = None
    """Counted from 0."""
    loss: float | None = None
    """Of the last step, per target token."""
    eval_loss: float | None = None
    """Of the last evaluation, per target token."""
    lr: float | None = None
    tokens_per_second: float | None = None
    """Real tokens, padding left out, over all ranks."""
    eta_seconds: float | None = None
    last_checkpoint_step: int | None = None
    last_checkpoint_time: float | None = None
    """Unix seconds."""
    last_step_time: float | None = None
    """Unix seconds."""
    step_seconds: float | None = None
    """The longest step of this attempt after its first."""
    save_seconds: float | None = None
    """The longest save of this attempt, from its begin to the complete checkpoint."""
    dataset: "DatasetFacts | None" = None
    """The prepared data, from the moment it is known."""


class DatasetFacts(TypedDict):
    """What is told of the prepared data."""

    rows: int
    """To train on."""
    tokens: int
    """In them, without padding."""
    dropped: int
    """Rows of the source that were left out."""
    sha256: str
    """Of the prepared content."""


class ProgressFields(TypedDict, total=False):
    """What `RunState.update` accepts: the fields of `Progress`."""

    phase: str
    step: int
    total_steps: int | None
    first_step: int | None
    epoch: int | None
    loss: float | None
    eval_loss: float | None
    lr: float | None
    tokens_per_second: float | None
    eta_seconds: float | None
    last_checkpoint_step: int | None
    last_checkpoint_time: float | None
    last_step_time: float | None
    step_seconds: float | None
    save_seconds: float | None
    dataset: DatasetFacts | None


Fact = str | float | DatasetFacts | None


class RunState:
    """Holds the progress of a run; one thread writes, any number read, nobody waits for a reader."""

    def __init__(self) -> None:
        self._progress = Progress()
        self._writing = threading.Lock()

    def update(self, **changes: Unpack[ProgressFields]) -> None:
        """Change the named fields together; raises TypeError for a name that does not exist."""
        with self._writing:  # readers need no lock: they see either the old value or the new one
            self._progress = replace(self._progress, **changes)

    @property
    def progress(self) -> Progress:
        """The newest moment."""
        return self._progress

    def snapshot(self) -> dict[str, Fact]:
        """Return the newest moment as JSON-able values in camelCase; NaN and infinities become None."""
        progress = self._progress
        names = [field.name for field in fields(progress)]
        moment = {_camel_case(name): _finite(getattr(progress, name)) for name in names}
        return moment | {"percent": percent(progress)}


def percent(progress: Progress) -> float | None:
    """Return how much of the training is done, 0 to 100, or None while its length is unknown."""
    if not progress.total_steps:
        return None
    return round(min(100.0, 100.0 * progress.step / progress.total_steps), 2)


def _camel_case(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _finite(fact: Fact) -> Fact:
    return None if isinstance(fact, float) and not math.isfinite(fact) else fact
