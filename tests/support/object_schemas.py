"""JSON schemas of Kubernetes objects that know no other fields, for kubeconform; from OpenAPI and from CRDs."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

Schema = dict[str, Any]

LOCATION: Final = "{{.Group}}/{{.ResourceKind}}-{{.ResourceAPIVersion}}.json"
"""Where kubeconform finds a schema below the folder that was written."""

_PREFIX: Final = "#/definitions/"
_KINDS: Final = "x-kubernetes-group-version-kind"
_NUMBER_OR_TEXT: Final = (
    "io.k8s.apimachinery.pkg.api.resource.Quantity",
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
)
_ANY: Final[Schema] = {"type": ["integer", "number", "string"]}


def write_builtin(openapi: Path, folder: Path, kinds: Iterable[tuple[str, str, str]]) -> None:
    """Write the schemas of built-in kinds, each (group, version, kind), from an API server's OpenAPI v2."""
    definitions = json.loads(openapi.read_text(encoding="utf-8"))["definitions"]
    wanted = set(kinds)
    for name, definition in definitions.items():
        for one in definition.get(_KINDS, []):
            key = (one["group"], one["version"], one["kind"])
            if key in wanted:
                used = {part: _closed_definition(part, definitions[part]) for part in _closure(name, definitions)}
                _write(folder, key, {"$ref": _PREFIX + name, "definitions": used})


def write_custom(definition: Schema, folder: Path) -> None:
    """Write the schemas of all versions that a CustomResourceDefinition serves."""
    spec = definition["spec"]
    for version in spec["versions"]:
        key = (spec["group"], version["name"], spec["names"]["kind"])
        _write(folder, key, _closed(version["schema"]["openAPIV3Schema"], top=True))


def _write(folder: Path, key: tuple[str, str, str], schema: Schema) -> None:
    group, version, kind = key
    # kubeconform takes what stands before the slash of apiVersion for the group, and the oldest kinds have no slash.
    path = folder / (group or version) / f"{kind.lower()}-{version}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(schema), encoding="utf-8")


def _closure(name: str, definitions: dict[str, Schema]) -> set[str]:
    found: set[str] = set()
    waiting = [name]
    while waiting:
        part = waiting.pop()
        if part not in found:
            found.add(part)
            waiting += _references(definitions[part])
    return found


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for one in value:
            yield from _references(one)
    elif isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"].removeprefix(_PREFIX)
        for one in value.values():
            yield from _references(one)


def _closed_definition(name: str, definition: Schema) -> Schema:
    return _ANY if name in _NUMBER_OR_TEXT else _closed(definition)


def _closed(schema: Schema, *, top: bool = False) -> Schema:
    """Return a schema in which a mapping has no other keys than those it lists, at every depth."""
    if schema.get("x-kubernetes-int-or-string"):
        return _ANY
    made = {key: _inside(key, value) for key, value in schema.items() if key != "nullable" and key != "format"}
    open_ended = schema.get("x-kubernetes-preserve-unknown-fields") or schema.get("x-kubernetes-embedded-resource")
    if "properties" in schema and "additionalProperties" not in schema and not open_ended:
        made["additionalProperties"] = False
    if schema.get("nullable") and isinstance(schema.get("type"), str):
        made["type"] = [schema["type"], "null"]
    if top:  # CRDs leave out of their schema what every object has
        common = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"}}
        made["properties"] = {**made.get("properties", {}), **common}
    return made


def _inside(key: str, value: Any) -> Any:
    if key in ("properties", "definitions"):
        return {name: _closed(one) for name, one in value.items()}
    if key in ("items", "additionalProperties") and isinstance(value, dict):
        return _closed(value)
    return value
