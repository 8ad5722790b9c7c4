"""When things happened to one run that was struck, and how long it took to recover from that."""

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Sample:
    """Moments of one run, in seconds of one monotonic clock."""

    undisturbed: float
    """From the first pod of a resume that nothing disturbs to its first step: not a moment but a time."""
    fault: float
    origin: float
    """Since when the bound counts: the fault, or what follows from it, as a node that is reported NotReady."""
    allowance: float
    """The bound, in seconds."""
    detected: float | None = None
    """When it was recorded that the attempt was over."""
    created: float | None = None
    """When the first pod of the next attempt was there."""
    stepped: float | None = None
    """When the next attempt reported its first step; None: never while we waited."""
    gave_up: float = 0.0
    """Until when we waited for that."""
    steps_lost: int | None = None
    cause: str = ""
    """What was recorded."""
    same_checkpoint: bool = True
    """Whether the attempt after the fault began at the very checkpoint at which the undisturbed resume had begun."""

    @property
    def recovery(self) -> float | None:
        """What the fault cost beyond a start that nothing disturbs."""
        return None if self.stepped is None else self.stepped - self.origin - self.undisturbed

    @property
    def at_least(self) -> float:
        """What it cost at least, when we did not wait for the end."""
        return self.gave_up - self.origin - self.undisturbed

    @property
    def kept(self) -> bool:
        """Whether the bound was kept."""
        return self.recovery is not None and self.recovery <= self.allowance

    @property
    def detected_after(self) -> float | None:
        """From the fault to the record."""
        return None if self.detected is None else self.detected - self.fault

    @property
    def parts(self) -> tuple[float, float, float] | None:
        """Where the recovery went: until it was recorded, until there was a pod, and a start longer than usual."""
        if self.detected is None or self.created is None or self.stepped is None:
            return None
        start = self.stepped - self.created - self.undisturbed
        return self.detected - self.origin, self.created - self.detected, start


@dataclass(frozen=True)
class Figures:
    """What several samples of one fault gave: medians."""

    recovery: float | None
    """None when the median sample did not recover; then `at_least` says how long we waited."""
    worst: float | None
    at_least: float
    detected_after: float | None
    origin_after: float
    """From the fault to the moment from which the bound counts."""
    undisturbed: float
    allowance: float
    steps_lost: int | None
    """The most of all samples."""
    kept: int
    samples: int
    causes: list[str]
    """What was recorded, each once."""
    same_checkpoint: bool
    parts: tuple[float, float, float] | None

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> "Figures":
        """Summarize at least one sample."""
        found = [sample.recovery for sample in samples]
        parts = [sample.parts for sample in samples]
        whole = [part for part in parts if part is not None]
        return cls(
            recovery=_median(found),
            worst=None if None in found else max(value for value in found if value is not None),
            at_least=max(sample.at_least for sample in samples),
            detected_after=_median([sample.detected_after for sample in samples]),
            origin_after=statistics.median(sample.origin - sample.fault for sample in samples),
            undisturbed=statistics.median(sample.undisturbed for sample in samples),
            allowance=statistics.median(sample.allowance for sample in samples),
            steps_lost=max((s.steps_lost for s in samples if s.steps_lost is not None), default=None),
            kept=sum(sample.kept for sample in samples),
            samples=len(samples),
            causes=sorted({sample.cause for sample in samples if sample.cause}),
            same_checkpoint=all(sample.same_checkpoint for sample in samples),
            parts=_each(statistics.median, whole) if len(whole) == len(parts) else None,
        )


def _median(values: Sequence[float | None]) -> float | None:
    """What never came counts as later than all that came."""
    middle = sorted(values, key=lambda value: float("inf") if value is None else value)[len(values) // 2]
    known = [value for value in values if value is not None]
    return statistics.median(known) if len(known) == len(values) else middle


def _each(
    what: Callable[[Iterable[float]], float], rows: Sequence[tuple[float, float, float]]
) -> tuple[float, float, float]:
    first, second, third = (what(column) for column in zip(*rows, strict=True))
    return first, second, third
