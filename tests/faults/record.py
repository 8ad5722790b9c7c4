"""What is expected of a case, written down before it strikes, and what was found, written down afterwards."""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from faults.case import Case


@dataclass(frozen=True)
class Target:
    """Who is struck."""

    rank: int
    step: int
    pod: str
    node: str


@dataclass(frozen=True)
class Record:
    """The cause that must be named; None where anything may stand."""

    case: str
    seed: int
    strike: str
    target: Target
    outcome: str | None
    reason: str
    rank: int | None
    pod: str | None
    node: str | None
    exit_code: int | None
    restarts: int
    state: str
    ending: str
    lost: int
    words: tuple[str, ...]
    within: float | None = None

    def write(self, path: Path) -> None:
        """Put it on the disk, for good."""
        _write(path, asdict(self))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read it back."""
        told = json.loads(path.read_text(encoding="utf-8"))
        return cls(**told | {"target": Target(**told["target"]), "words": tuple(told["words"])})


def expect(case: Case, seed: int, target: Target) -> Record:
    """Return what must be found once `target` is struck."""
    truth, victim = case.truth, case.truth.victim
    return Record(
        case=case.name,
        seed=seed,
        strike=case.outside or case.inside,
        target=target,
        outcome=truth.outcome,
        reason=truth.reason,
        rank=target.rank if victim == "rank" else None,
        pod=target.pod if victim in ("rank", "agent", "launcher", "pod") else None,
        node=target.node if victim in ("rank", "agent", "launcher", "pod", "node") else None,
        exit_code=truth.exit_code,
        restarts=truth.restarts,
        state=truth.state,
        ending=truth.ending,
        lost=truth.lost,
        words=tuple(word.format(rank=target.rank) for word in truth.words),
        within=truth.within,
    )


@dataclass(frozen=True)
class Found:
    """What the job's status told, and what its files hold."""

    outcome: str | None = None
    """Of the struck attempt, when it was first told."""
    reason: str = ""
    rank: int | None = None
    pod: str | None = None
    node: str | None = None
    exit_code: int | None = None
    text: str = ""
    """Message and traceback."""
    restarts: int = 0
    state: str = ""
    """At the end."""
    ending: str = ""
    lost: int | None = None
    """Steps done twice, or gone."""
    detected: float | None = None
    """Seconds from the strike until the outcome was told."""
    ran: float | None = None
    """Seconds of these in which all pods of the struck attempt ran; None where it came when they ran."""
    recovered: float | None = None
    """Seconds from the strike until the first new step."""
    attempts: tuple[str, ...] = ()
    difference: float | None = None
    """Largest relative difference to the weights of the undisturbed run; 0: not a bit differs; None: no result."""


@dataclass(frozen=True)
class Result:
    """A case that was played."""

    record: Record
    found: Found
    complaints: tuple[str, ...]
    """In what the cause was named wrongly; empty: it was named rightly."""
    tolerance: float
    """Of the difference."""
    story: str = ""
    """What a person would look at when something is wrong."""
    runtime: dict[str, str] = field(default_factory=dict)

    @property
    def same(self) -> bool | None:
        """Whether the result is that of the undisturbed run; None when there is to be none."""
        if self.record.state != "Complete":
            return None
        return self.found.difference is not None and self.found.difference <= self.tolerance

    def write(self, path: Path) -> None:
        """Put it on the disk."""
        _write(path, asdict(self))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read it back."""
        told = json.loads(path.read_text(encoding="utf-8"))
        record = told["record"]
        record = Record(**record | {"target": Target(**record["target"]), "words": tuple(record["words"])})
        found = Found(**told["found"] | {"attempts": tuple(told["found"]["attempts"])})
        return cls(**told | {"record": record, "found": found, "complaints": tuple(told["complaints"])})


def _write(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".new")
    with aside.open("w", encoding="utf-8") as file:
        json.dump(content, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    aside.rename(path)
