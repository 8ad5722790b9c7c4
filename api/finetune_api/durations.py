"""Lengths of training time: `1ep`, `100ba`, `5000sp`, `2000000tok`, `0.02dur`; a bare integer is epochs."""

import re
from dataclasses import dataclass
from typing import Any, Final, Literal, cast, get_args

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

Unit = Literal["ep", "ba", "sp", "tok", "dur"]

UNIT_NAMES: Final[dict[Unit, str]] = {
    "ep": "epochs",
    "ba": "batches",
    "sp": "samples",
    "tok": "tokens",
    "dur": "fraction of the run",
}

# An exponent is only ever written by str() of a very small or large fraction.
_PATTERN: Final = re.compile(r"(\d+(?:\.\d*)?|\.\d+)((?:e[-+]?\d+)?)([a-z]+)", re.IGNORECASE)
_EXACT_LIMIT: Final = 2**53
_FORMS: Final = "write 1ep, 100ba, 5000sp, 2000000tok or 0.02dur"


@dataclass(frozen=True)
class Duration:
    """A non-negative amount of training time; whole, except for a fraction of the run (`dur`)."""

    value: float
    unit: Unit

    def __post_init__(self) -> None:
        """Raise ValueError when the unit is unknown, or the amount negative, not finite or not whole."""
        if self.unit not in get_args(Unit):
            raise ValueError(f"unknown unit {self.unit!r}; {_FORMS}")
        if not 0 <= self.value <= _EXACT_LIMIT:
            raise ValueError(f"{self.value} {UNIT_NAMES[self.unit]} is out of range")
        if self.unit != "dur" and self.value != int(self.value):
            raise ValueError(f"{self} is not a whole number of {UNIT_NAMES[self.unit]}")
        object.__setattr__(self, "value", float(self.value))

    @classmethod
    def parse(cls, text: "str | int | Duration") -> "Duration":
        """Read a duration; a bare integer is epochs.

        Raises ValueError with the accepted forms when it is none.
        """
        if isinstance(text, Duration):
            return text
        if isinstance(text, int) and not isinstance(text, bool):
            return cls(text, "ep")
        match = _PATTERN.fullmatch(text.strip()) if isinstance(text, str) else None
        unit = match[3].lower() if match else ""
        if match is None or unit not in get_args(Unit):
            raise ValueError(f"{text!r} is not a duration; {_FORMS}")
        return cls(float(match[1] + match[2]), cast(Unit, unit))

    @property
    def count(self) -> int:
        """The amount as an integer; raises ValueError for a fraction of the run."""
        if self.unit == "dur":
            raise ValueError(f"{self} is a fraction of the run, not a count")
        return int(self.value)

    def __str__(self) -> str:
        whole = self.value == int(self.value)
        return f"{int(self.value) if whole else self.value!r}{self.unit}"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Let pydantic read what `parse` reads and write what `str` writes."""
        return core_schema.no_info_plain_validator_function(
            cls.parse, serialization=core_schema.plain_serializer_function_ser_schema(str)
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Describe a duration as the string or integer that a file holds."""
        return {"anyOf": [{"type": "string", "examples": ["1ep", "100ba"]}, {"type": "integer", "minimum": 0}]}
