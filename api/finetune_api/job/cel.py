"""Rules about one value, told once: the models check them in Python, the API server in CEL."""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

VALIDATIONS: Final = "x-kubernetes-validations"


@dataclass(frozen=True)
class Cel:
    """What the API server checks of a value, where the model has a check of its own."""

    rule: str
    message: str
    expression: str | None = None
    """CEL for a message that quotes the value; `message` stands in when it cannot be computed."""

    def to_json(self) -> dict[str, Any]:
        """Return the rule as a CustomResourceDefinition writes it."""
        quoted = {"messageExpression": self.expression} if self.expression else {}
        return {"rule": self.rule, "message": self.message, **quoted}

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Add the rule to the schema of the value."""
        inner = handler(schema)
        return {**inner, VALIDATIONS: [*inner.get(VALIDATIONS, []), self.to_json()]}


@dataclass(frozen=True)
class Shape:
    """A regular expression that a text must match as a whole, and the sentence for one that does not."""

    pattern: str
    sentence: str

    @cached_property
    def _compiled(self) -> re.Pattern[str]:
        return re.compile(self.pattern)

    def _check(self, text: str) -> str:
        if not self._compiled.fullmatch(text):
            raise ValueError(f"{text!r} {self.sentence}")
        return text

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Let pydantic refuse a text that does not match."""
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Let the API server refuse it with the same sentence."""
        rule = Cel(f"self.matches(r'^({self.pattern})$')", self.sentence, f"'\\'' + self + '\\' {self.sentence}'")
        return rule.__get_pydantic_json_schema__(schema, handler)


@dataclass(frozen=True)
class ListMap:
    """A list whose entries differ in one key, so that two authors of a job can each own some of them."""

    key: str

    def _check(self, entries: list[Any]) -> list[Any]:
        keys = [entry.model_dump()[self.key] for entry in entries]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            raise ValueError(f"{twice!r} is the {self.key} of two entries; leave one out")
        return entries

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Let pydantic refuse two entries of one key."""
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Let the API server refuse them, and merge the list by that key."""
        return {**handler(schema), "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [self.key]}


BY_NAME: Final = ListMap("name")
BY_MOUNT_PATH: Final = ListMap("mountPath")
