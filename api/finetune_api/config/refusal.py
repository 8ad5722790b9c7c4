"""The shape of the tables of keys that are ignored, refused, or not supported yet."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Refusal:
    """Why a key, or one value of it (`subject`), is not accepted; `harmless` values of the key are."""

    reason: str
    harmless: tuple[Any, ...] = ()
    later: bool = False
    subject: str = ""


@dataclass(frozen=True)
class KeyTable:
    """What happens to keys of one part that its model alone cannot judge."""

    ignored: frozenset[str] = frozenset()
    refused: Mapping[str, Refusal] = field(default_factory=dict)
    refused_values: Mapping[str, Mapping[str, Refusal]] = field(default_factory=dict)
    moved: Mapping[str, str] = field(default_factory=dict)
    """Keys people write here that live elsewhere, or under another name."""


def no(reason: str, *harmless: Any) -> Refusal:
    """Refuse for good, with the reason or the alternative."""
    return Refusal(reason, harmless)


def later(what: str, *harmless: Any) -> Refusal:
    """Refuse until a later version supports `what`."""
    return Refusal(what, harmless, later=True)


@dataclass(frozen=True)
class OpenPart:
    """A part whose keys are a library's: those it is known to take."""

    part: str
    known: frozenset[str]
