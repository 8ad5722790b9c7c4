"""What a termination message tells beside its outcome; any process of a pod can write one, so each fact is bounded."""

import json
from dataclasses import dataclass
from typing import Any, Final

MOST_RANKS: Final = 1000
MOST_CLAIM: Final = 90_000
"""Attempts are numbered with at most five digits, and some numbers have to be left for what follows."""
_MOST_BEATS: Final = 2**53


@dataclass(frozen=True)
class Hang:
    """How a silent rank stood; smaller is likelier the one that the others wait for."""

    frozen: bool = False
    """It did not even answer when it was asked for its stack."""
    beats: int = _MOST_BEATS
    """Points of the common program that it has passed."""

    @property
    def order(self) -> tuple[bool, int]:
        """Sort key: a frozen rank first, then the one that is furthest behind."""
        return not self.frozen, self.beats


def hang_of(told: str) -> Hang:
    """Return fact `hang`; one that says nothing for what is not told."""
    document = fact(told, "hang")
    found = document if isinstance(document, dict) else {}
    beats = count(found.get("beats"), _MOST_BEATS)
    return Hang(frozen=found.get("frozen") is True, beats=_MOST_BEATS if beats is None else beats)


def suspects_of(told: str) -> tuple[int, ...]:
    """Return fact `suspects`: the ranks of nodes, within the attempt, on which a preflight failed."""
    listed = fact(told, "suspects")
    ranks = [count(one, MOST_RANKS) for one in listed[:MOST_RANKS]] if isinstance(listed, list) else []
    return tuple(dict.fromkeys(rank for rank in ranks if rank is not None))


def claimed_attempt_of(told: str) -> int | None:
    """Return fact `claimedAttempt`: the newest attempt of this job that has claimed the output."""
    return count(fact(told, "claimedAttempt"), MOST_CLAIM)


def fact(told: str, name: str) -> Any:
    """Return what stands under a name beside a termination message, whatever it is; None for nothing."""
    try:
        document = json.loads(told) if told else None
    except (ValueError, RecursionError):
        return None
    return document.get(name) if isinstance(document, dict) else None


def count(value: object, most: int) -> int | None:
    """Return a whole number from 0 up to below `most`, or None for anything else."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if whole and 0 <= value < most else None  # type: ignore[operator,return-value]
