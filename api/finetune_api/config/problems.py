"""Turns what pydantic says about a document into sentences with paths for the person who wrote it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from pydantic_core import ErrorDetails

from finetune_api.config.screen import join, nearest
from finetune_api.errors import Problem

_KINDS: Final[Mapping[str, str]] = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "dataclass_type": "a mapping",
    "finite_number": "a finite number",
}

_BOUNDS: Final[Mapping[str, tuple[str, str]]] = {
    "greater_than": ("greater than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}


def problems_of(errors: Sequence[ErrorDetails], document: object) -> list[Problem]:
    """Return one problem per path for pydantic's `errors` about `document`."""
    problems = [_problem(error, document) for error in errors]
    return list({problem.path: problem for problem in reversed(problems)}.values())[::-1]


def format_path(keys: Sequence[str | int]) -> str:
    """Return `keys` as a dotted path, list positions in brackets."""
    path = ""
    for key in keys:
        path = f"{path}[{key}]" if isinstance(key, int) else join(path, key)
    return path


def shown(value: object) -> str:
    """Return `value` as a short piece of a sentence."""
    text = "null" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _problem(error: ErrorDetails, document: object) -> Problem:
    path, kind = format_path(_keys(error["loc"], document)), error["type"]
    if kind == "missing":
        return Problem(path, "required key is missing")
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return _tag_problem(error, path)
    return Problem(path, *_sentence(error))


def _keys(loc: Sequence[str | int], document: object) -> list[str | int]:
    """Return `loc` without the names of union branches that pydantic puts between the keys."""
    keys: list[str | int] = []
    here = document
    for index, step in enumerate(loc):
        inside = _holds(here, step)
        if inside or (isinstance(here, Mapping) and index == len(loc) - 1):
            keys.append(step)
        if inside:
            here = here[step]  # type: ignore[index]  # _holds has looked
    return keys


def _holds(container: object, step: str | int) -> bool:
    if isinstance(container, Mapping):
        return step in container
    return isinstance(container, list | tuple) and isinstance(step, int) and step < len(container)


def _tag_problem(error: ErrorDetails, path: str) -> Problem:
    path = join(path, "name")
    if error["type"] == "union_tag_not_found":
        return Problem(path, "required key is missing")
    context = error.get("ctx", {})
    return Problem(path, *_choice(str(context["tag"]), str(context["expected_tags"])))


def _choice(value: object, expected: str) -> tuple[str, str | None]:
    choices = [choice.strip("'") for choice in expected.replace(" or ", ", ").split(", ")]
    close = nearest(value, choices) if isinstance(value, str) else None
    wanted = choices[0] if len(choices) == 1 else f"one of {', '.join(choices)}"
    return f"expected {wanted}, got {shown(value)}", f"did you mean {close}?" if close else None


def _sentence(error: ErrorDetails) -> tuple[str, str | None]:
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    if kind in _KINDS:
        return f"expected {_KINDS[kind]}, got {shown(value)}", _string_hint(kind, value)
    if kind in _BOUNDS:
        words, bound = _BOUNDS[kind]
        return f"must be {words} {context[bound]}, got {shown(value)}", None
    special = _SPECIAL.get(kind)
    return special(error) if special else (error["msg"], None)


def _string_hint(kind: str, value: object) -> str | None:
    numeric = kind.startswith(("int", "float")) and isinstance(value, str)
    return "write it without quotes" if numeric and _is_number(str(value)) else None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _value_error(error: ErrorDetails) -> tuple[str, str | None]:
    message, _, hint = str(error.get("ctx", {}).get("error", error["msg"])).partition("; ")
    return message, hint or None


_SPECIAL: Final[Mapping[str, Callable[[ErrorDetails], tuple[str, str | None]]]] = {
    "value_error": _value_error,
    "extra_forbidden": lambda error: ("unknown key", None),
    "literal_error": lambda error: _choice(error["input"], str(error.get("ctx", {})["expected"])),
    "string_too_short": lambda error: ("must not be empty", None),
    "string_too_long": lambda error: (f"longer than {error.get('ctx', {})['max_length']} characters", None),
    "string_pattern_mismatch": lambda error: (
        f"{shown(error['input'])} does not match {error.get('ctx', {})['pattern']}",
        None,
    ),
    "too_long": lambda error: (f"expected {error.get('ctx', {})['max_length']} values", None),
    "too_short": lambda error: (f"expected at least {error.get('ctx', {})['min_length']} values", None),
}
