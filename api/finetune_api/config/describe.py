"""Says in words what a key of the training file may hold and what it is when left out."""

import types
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from finetune_api.config.section import Section
from finetune_api.durations import Duration

_PRIMITIVES: Final = {
    bool: "true or false",
    int: "integer",
    float: "number",
    str: "text",
    Duration: "duration",
    Any: "anything",
}
_BOUNDS: Final = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}


def value_words(field: FieldInfo) -> str:
    """Return the kinds of value that `field` takes, with their bounds."""
    bounds = [f"{sign} {bound}" for name, sign in _BOUNDS.items() if (bound := _bound(field, name)) is not None]
    return " ".join([_shape(field.annotation), ", ".join(bounds)]).strip()


def default_words(field: FieldInfo) -> str:
    """Return the default of `field`: `required`, `as described`, `none`, or the value in backquotes."""
    if field.is_required():
        # The one field that is filled in from the top level before it is checked.
        return "as described" if "default:" in (field.description or "") else "required"
    value = field.get_default(call_default_factory=True)
    return "none" if value is None or isinstance(value, Section) or value in ({}, []) else f"`{written(value)}`"


def written(value: Any) -> str:
    """Return a value as it is written in YAML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {written(inner)}" for key, inner in value.items()) + "}"
    return str(value)


def _bound(field: FieldInfo, name: str) -> Any:
    nested = [inner for part in get_args(field.annotation) for inner in getattr(part, "__metadata__", ())]
    nested += [one for inner in nested if isinstance(inner, FieldInfo) for one in inner.metadata]
    return next((getattr(one, name) for one in [*field.metadata, *nested] if hasattr(one, name)), None)


def _shape(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _shape(arguments[0])
    if origin is Literal:
        return " or ".join(f"`{written(value)}`" for value in arguments)
    if origin in (Union, types.UnionType):
        shapes = [_shape(one) for one in arguments if one is not type(None)]
        return " or ".join(dict.fromkeys(shapes))
    if origin is list:
        return f"list of {_shape(arguments[0])}s"
    if origin is tuple:
        return f"list of {len(arguments)} numbers"
    return _plain(annotation)


def _plain(annotation: Any) -> str:
    if get_origin(annotation) is dict or (isinstance(annotation, type) and issubclass(annotation, Section)):
        return "mapping"
    return _PRIMITIVES.get(annotation) or str(annotation)
