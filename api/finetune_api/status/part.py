"""What the parts of a status share: camelCase keys, UTC seconds, and texts cut to a bound."""

import math
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
)
from pydantic.alias_generators import to_camel

_LARGEST: Final = 2**53
"""Beyond this a JSON number is no longer exact everywhere."""

_EARLIEST: Final = 1970
"""Nothing that a status tells of happened before this year, and years of four digits are written alike everywhere."""

_DIGITS: Final = 6
"""Significant digits of a measured number: enough to read, and few enough that a table stays narrow."""


class StatusPart(BaseModel):
    """A mapping of a status; what a newer operator wrote beside the known keys is left out."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        allow_inf_nan=False,
        extra="ignore",
        frozen=True,
        serialize_by_alias=True,
        validate_by_alias=True,
        validate_by_name=True,
    )

    def to_json(self) -> dict[str, Any]:
        """Return what is written to the API server; what is not known is left out."""
        return self.model_dump(mode="json", exclude_none=True)


def _whole_seconds(moment: datetime) -> datetime:
    try:
        utc = moment.astimezone(UTC).replace(microsecond=0)
    except OverflowError:
        raise ValueError("is not a moment of the calendar") from None
    if utc.year < _EARLIEST:
        raise ValueError(f"lies before the year {_EARLIEST}")
    return utc


def _written(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


Timestamp = Annotated[AwareDatetime, AfterValidator(_whole_seconds), PlainSerializer(_written, when_used="json")]
"""A moment in UTC, in whole seconds, as Kubernetes writes it."""


def _rounded(value: float) -> float:
    if value == 0:
        return 0.0
    return round(value, _DIGITS - 1 - math.floor(math.log10(abs(value))))


Measured = Annotated[float, AfterValidator(_rounded)]
"""A measured number; neither infinite nor NaN."""

Amount = Annotated[float, Field(ge=0), AfterValidator(_rounded)]
"""A measured number that is not negative."""

Duration = Annotated[float, Field(ge=0, le=86400), AfterValidator(_rounded)]
"""Seconds, at most a day."""

Percentage = Annotated[float, Field(ge=0, le=100), AfterValidator(_rounded)]

Number = Annotated[int, Field(ge=0, le=_LARGEST)]
"""A count, or a number that counts from 0."""


def _cut(length: int) -> BeforeValidator:
    def cut(value: object) -> object:
        if not isinstance(value, str):
            return value
        # What a pod wrote may hold lone surrogates, which JSON on the wire cannot.
        text = value.encode(errors="replace").decode()
        return text if len(text) <= length else f"{text[: length - 1]}…"

    return BeforeValidator(cut)


Word = Annotated[str, Field(max_length=128), _cut(128)]
"""A name or CamelCase word; a longer one is cut."""

NodeName = Annotated[str, Field(max_length=253), _cut(253)]
"""A name of a node, as long as Kubernetes lets it be."""

Line = Annotated[str, Field(max_length=1024), _cut(1024)]
"""A path, image or name; a longer one is cut."""

Message = Annotated[str, Field(max_length=8192), _cut(8192)]
"""Sentences for a person; longer ones are cut."""

_TRACE_LINES: Final = 30
_TRACE_LENGTH: Final = 2000


def _end(value: object) -> object:
    if not isinstance(value, str):
        return value
    lines = value.encode(errors="replace").decode().rstrip().splitlines()
    text = "\n".join(lines[-_TRACE_LINES:])
    return text if len(text) <= _TRACE_LENGTH else f"…{text[1 - _TRACE_LENGTH :]}"


Trace = Annotated[str, Field(max_length=_TRACE_LENGTH), BeforeValidator(_end)]
"""A traceback; of a longer one the end is kept, where the error stands."""
