"""What every part of the training configuration shares: strictness, and the shape of its keys."""

import types
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, SerializerFunctionWrapHandler, model_serializer
from pydantic.fields import FieldInfo


class Section(BaseModel):
    """A mapping of the training file with a fixed set of keys; anything else in it is a mistake."""

    # Built on first use: a part is nearly always judged inside the whole, which builds it anyway.
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)

    part: ClassVar[str] = ""
    """The name under which `finetune_api.config.keys` lists keys that are ignored or refused here."""

    empty_when_null: ClassVar[bool] = False
    """Whether `key: null` inside this mapping asks for `key` with its defaults, instead of not at all."""

    @model_serializer(mode="wrap")
    def _without_nulls(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # null means "not given", so a dump that is loaded again needs none.
        return {key: value for key, value in handler(self).items() if value is not None}


@cache
def fields_by_key(model: type[Section]) -> Mapping[str, FieldInfo]:
    """Return the fields of `model` by the key a file writes, which may differ from the attribute."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


@cache
def child_sections(model: type[Section]) -> Mapping[str, tuple[type[Section], ...]]:
    """Return, for each key of `model` that holds sections, the section classes it may hold."""
    fields = fields_by_key(model).items()
    found = {key: tuple(dict.fromkeys(_sections(field.annotation))) for key, field in fields}
    return {key: sections for key, sections in found.items() if sections}


def _sections(annotation: Any) -> Iterator[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    elif get_origin(annotation) in (Annotated, Union, types.UnionType, list):
        for argument in get_args(annotation):
            yield from _sections(argument)


def names_of(section: type[Section]) -> tuple[str, ...]:
    """Return the values that `name` may have in `section`; empty when it has no such key."""
    field = section.model_fields.get("name")
    return get_args(field.annotation) if field and get_origin(field.annotation) is Literal else ()


def uppercase(value: object) -> object:
    """Let enumerations that Composer compares in upper case be written in any case."""
    return value.upper() if isinstance(value, str) else value


def one_or_many(value: object) -> object:
    """Read a lone string as a list of one."""
    return [value] if isinstance(value, str) else value


def checked(check: Callable[[Any], None]) -> BeforeValidator:
    """Make a validator of a function that raises ValueError with a sentence of its own."""

    def run(value: Any) -> Any:
        check(value)
        return value

    return BeforeValidator(run)
