"""A small reader of OpenAPI schemas: what is wrong with one, and what one says of a value."""

from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]

_ALTERNATIVES = ("$ref", "$defs", "allOf", "anyOf", "oneOf", "not", "title", "const", "pattern", "nullable")
_BOUND = {"array": "maxItems", "string": "maxLength"}
_KINDS: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
}


def structural_mistakes(schema: Schema, path: str) -> Iterator[str]:
    """Yield what keeps `schema` from being structural, described and bounded."""
    yield from (f"{path} has {key}" for key in _ALTERNATIVES if key in schema)
    if "type" not in schema and "x-kubernetes-int-or-string" not in schema:
        yield f"{path} has no type"
    yield from _unbounded(schema, path)
    for name, inner in schema.get("properties", {}).items():
        if "description" not in inner:
            yield f"{path}.{name} has no description"
        yield from structural_mistakes(inner, f"{path}.{name}")
    for key, step in (("items", "[]"), ("additionalProperties", ".*")):
        if key in schema:
            yield from structural_mistakes(schema[key], f"{path}{step}")


def _unbounded(schema: Schema, path: str) -> Iterator[str]:
    kind = schema.get("type")
    if kind in _BOUND and _BOUND[kind] not in schema and "enum" not in schema and "format" not in schema:
        yield f"{path} has no {_BOUND[kind]}"
    if kind == "integer" and not {"minimum", "maximum"} <= set(schema):
        yield f"{path} has no range"
    if "additionalProperties" in schema and "maxProperties" not in schema:
        yield f"{path} has no maxProperties"
    if "x-kubernetes-int-or-string" in schema and "maxLength" not in schema:
        yield f"{path} has no maxLength"


def value_mistakes(schema: Schema, value: Any, path: str) -> Iterator[str]:
    """Yield where `value` does not fit `schema`; rules in CEL are not looked at."""
    kind = schema.get("type")
    if kind and (not isinstance(value, _KINDS[kind]) or (isinstance(value, bool) and kind != "boolean")):
        yield f"{path} is no {kind}"
    elif "x-kubernetes-int-or-string" in schema and not isinstance(value, int | str):
        yield f"{path} is neither integer nor string"
    elif isinstance(value, dict):
        yield from _object_mistakes(schema, value, path)
    elif isinstance(value, list) and "items" in schema:
        for index, entry in enumerate(value):
            yield from value_mistakes(schema["items"], entry, f"{path}[{index}]")
    elif "enum" in schema and value not in schema["enum"]:
        yield f"{path} is none of {schema['enum']}"
    elif not _within(schema, value):
        yield f"{path} is out of bounds"


def _object_mistakes(schema: Schema, value: dict[str, Any], path: str) -> Iterator[str]:
    yield from (f"{path}.{name} is missing" for name in schema.get("required", []) if name not in value)
    known = schema.get("properties", {})
    for name, inner in value.items():
        if name in known:
            yield from value_mistakes(known[name], inner, f"{path}.{name}")
        elif "additionalProperties" in schema:
            yield from value_mistakes(schema["additionalProperties"], inner, f"{path}.{name}")
        elif "x-kubernetes-preserve-unknown-fields" not in schema:
            yield f"{path}.{name} is unknown"


def _within(schema: Schema, value: Any) -> bool:
    if isinstance(value, str):
        return bool(schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)))
    if isinstance(value, int | float):
        return bool(schema.get("minimum", value) <= value <= schema.get("maximum", value))
    return True


def schemas_below(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """Yield `schema` and every schema inside of it, with their paths."""
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from schemas_below(inner, f"{path}.{name}".lstrip("."))
    for key, step in (("items", "[]"), ("additionalProperties", ".*")):
        if key in schema:
            yield from schemas_below(schema[key], f"{path}{step}")
