"""From pydantic's JSON schema to the structural schema that a CustomResourceDefinition asks for."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

from finetune_api.job.cel import VALIDATIONS

Schema = dict[str, Any]

_KEPT: Final = (
    "description",
    "type",
    "format",
    "enum",
    "default",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "required",
    "properties",
    "items",
    "additionalProperties",
)
"""In the order in which they are written."""

_RULE: Final = ("rule", "message", "messageExpression")

_DROPPED: Final = frozenset({"title", "propertyNames", "discriminator", "examples"})
"""Names for people, and rules about keys, which only CEL can express."""

_EXTENSION: Final = "x-kubernetes-"


def structural_schema(model: type[BaseModel]) -> Schema:
    """Return the structural schema of what `model` reads.

    Raises TypeError when the model holds something that such a schema cannot say.
    """
    schema = model.model_json_schema(by_alias=True)
    return _Converter(schema.get("$defs", {})).node(schema, model.__name__)


class _Converter:
    def __init__(self, definitions: Mapping[str, Schema]) -> None:
        self._definitions = definitions

    def node(self, raw: Schema, path: str) -> Schema:
        """Return the structural form of `raw`, which stands at `path`."""
        schema = self._inlined(raw, path)
        unknown = [key for key in schema if key not in (*_KEPT, *_DROPPED, "$defs") and not key.startswith(_EXTENSION)]
        if unknown:
            raise TypeError(f"{path}: a structural schema has no {', '.join(unknown)}")
        if "properties" in schema:
            schema["properties"] = self._properties(schema, path)
            schema.pop("additionalProperties", None)  # false: the API server prunes and reports what is unknown
        elif schema.get("type") == "object":
            schema |= self._open(schema.pop("additionalProperties", True), path)
        if "items" in schema:
            schema["items"] = self.node(schema["items"], f"{path}[]")
        return _ordered(schema)

    def _inlined(self, raw: Schema, path: str) -> Schema:
        """Return `raw` without references, alternatives and constants."""
        schema = {**raw}
        while "$ref" in schema:
            schema = {**self._definitions[schema.pop("$ref").rpartition("/")[2]], **schema}
        if "anyOf" in schema:
            schema = {**self._alternatives(schema.pop("anyOf"), path), **schema}
            return self._inlined(schema, path)
        if "const" in schema:
            schema["enum"] = [schema.pop("const")]
        if schema.get("default") in (None, {}, [], ""):
            schema.pop("default", None)  # an empty default says nothing, and would be written into every object
        return schema

    def _alternatives(self, options: list[Schema], path: str) -> Schema:
        """Return the one schema among `options` besides null, or that of an integer or string."""
        # Kubernetes drops a null that a field does not expect, which is what an unset field means here.
        given = [option for option in options if option.get("type") != "null"]
        if len(given) == 1:
            return given[0]
        kinds = {option.get("type") for option in given}
        if kinds != {"string", "integer"}:
            raise TypeError(f"{path}: a structural schema has no alternatives, found {kinds}")
        bounds = {key: value for option in given for key, value in option.items() if key.startswith(("max", "x-"))}
        return {**bounds, f"{_EXTENSION}int-or-string": True}

    def _properties(self, schema: Schema, path: str) -> dict[str, Schema]:
        required = schema.get("required", [])
        return {
            name: self._with_default(self.node(raw, f"{path}.{name}"), raw, name in required)
            for name, raw in schema["properties"].items()
        }

    def _with_default(self, schema: Schema, raw: Schema, required: bool) -> Schema:
        """Let an object that is left out come into being when something in it has a default."""
        made_anyway = not required and "default" not in raw
        inner = schema.get("properties", {}).values()
        if made_anyway and any("default" in one for one in inner):
            return _ordered({**schema, "default": {}})
        return schema

    def _open(self, values: Any, path: str) -> Schema:
        """Return what makes an object without known keys a map of `values`, or a free one."""
        if isinstance(values, dict):
            return {"additionalProperties": self.node(values, f"{path}.*")}
        return {f"{_EXTENSION}preserve-unknown-fields": True}


def _ordered(schema: Schema) -> Schema:
    extensions = {key: value for key, value in schema.items() if key.startswith(_EXTENSION)}
    if VALIDATIONS in extensions:
        extensions[VALIDATIONS] = [{key: rule[key] for key in _RULE if key in rule} for rule in schema[VALIDATIONS]]
    return {key: schema[key] for key in _KEPT if key in schema} | extensions
