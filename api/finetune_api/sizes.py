"""Amounts of storage: a number of bytes, or a number with a unit, such as `20GiB`."""

import re
from typing import Final

_UNITS: Final = {
    "": 1,
    **{f"{prefix}b": 1000**power for power, prefix in enumerate(("", "k", "m", "g", "t", "p"))},
    **{f"{prefix}ib": 1024**power for power, prefix in enumerate(("k", "m", "g", "t", "p"), 1)},
}
_PATTERN: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)", re.IGNORECASE)
_LIMIT: Final = 2**63
_FORMS: Final = "write a number of bytes, 500MB or 20GiB"


def parse_size(value: object) -> int:
    """Return bytes; raises ValueError with the accepted forms for what is no positive amount of storage."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    match = _PATTERN.fullmatch(text.strip()) if isinstance(text, str) else None
    unit = match[2].lower() if match else None
    if match is None or unit not in _UNITS:
        raise ValueError(f"{value!r} is not an amount of storage; {_FORMS}")
    size = int(float(match[1]) * _UNITS[unit]) if "." in match[1] else int(match[1]) * _UNITS[unit]
    if not 0 < size < _LIMIT:
        raise ValueError(f"{value!r} is out of range; {_FORMS}")
    return size


def size_words(count: int) -> str:
    """Return bytes as a person says them: `812 B`, `1.4 MiB`, `20.0 GiB`."""
    size, units = float(count), iter(("KiB", "MiB", "GiB", "TiB", "PiB"))
    unit = "B"
    while size >= 1024 and (larger := next(units, None)) is not None:
        size, unit = size / 1024, larger
    return f"{count} B" if unit == "B" else f"{size:.1f} {unit}"
