"""The fields of an object of the API, read from the schema that the API server enforces."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

Schema = Mapping[str, Any]

_MANY: Final = 2**31
"""Bounds from here on are there for computers, not for people."""
_PRIMITIVES: Final = {"boolean": "true or false", "integer": "integer", "number": "number", "string": "text"}


@dataclass(frozen=True)
class Field:
    """One field: where it stands, and what the schema says of it."""

    path: str
    """Below the object that was asked for; `[]` stands for every entry of a list."""
    schema: Schema
    required: bool

    @property
    def value(self) -> str:
        """The values it takes, in words."""
        return value_words(self.schema)

    @property
    def default(self) -> str:
        """What it is when left out, in words."""
        if self.required:
            return "**required**"
        default = self.schema.get("default")
        return "" if default in (None, {}) else f"`{str(default).lower() if isinstance(default, bool) else default}`"


def fields_of(schema: Schema, prefix: str = "") -> Iterator[Field]:
    """Yield the fields below `schema`, each before those inside it."""
    required = schema.get("required", ())
    for name, inner in schema.get("properties", {}).items():
        path = f"{prefix}.{name}".lstrip(".")
        yield Field(path, inner, name in required)
        if not is_free(inner):
            yield from fields_of(inner, path)
            yield from fields_of(inner.get("items", {}), f"{path}[]")


def is_free(schema: Schema) -> bool:
    """Tell whether the API server keeps whatever is written there."""
    return bool(schema.get("x-kubernetes-preserve-unknown-fields"))


def value_words(schema: Schema) -> str:
    """Return the values that `schema` admits, with their bounds, in words."""
    if "enum" in schema:
        return " or ".join(f"`{value}`" if value else "empty" for value in schema["enum"])
    if is_free(schema):
        return "mapping, kept as it is"
    if schema.get("x-kubernetes-int-or-string"):
        return "quantity"
    if schema.get("format") == "date-time":
        return "time"
    if schema["type"] == "array":
        return f"list of {_many(schema, 'Items', schema['items'])}"
    if schema["type"] == "object":
        values = schema.get("additionalProperties")
        return f"map to {_many(schema, 'Properties', values)}" if values else "mapping"
    bounds = f"{_range(schema)} {_size(schema, 'Length', 'of ')}".strip()
    return f"{_PRIMITIVES[schema['type']]} {bounds}{' characters' if 'maxLength' in schema else ''}".strip()


def _many(schema: Schema, what: str, inner: Schema) -> str:
    """Return how many values a list or map may hold, and which."""
    kind, space, bounds = value_words(inner).partition(" ")
    plural = {"quantity": "quantities"}.get(kind, kind if kind.startswith("`") else f"{kind}s")
    return f"{_size(schema, what)} {plural}{space}{bounds}".strip()


def _range(schema: Schema) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is None:
        return ""
    return f"from {least}" + (f" to {most}" if most is not None and most < _MANY - 1 else "")


def _size(schema: Schema, what: str, before: str = "") -> str:
    least, most = schema.get(f"min{what}", 0), schema.get(f"max{what}")
    if most is None:
        return f"{before}at least {least}" if least else ""
    return f"{before}{least} to {most}" if least else f"{before}at most {most}"
