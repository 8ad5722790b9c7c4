"""Reads the operator's settings from a YAML file with camelCase keys; whatever is not in it keeps its default."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Final, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

from finetune_api.config.problems import problems_of
from finetune_api.config.screen import join, nearest
from finetune_api.errors import ConfigInvalid, Problem
from finetune_api.yaml_text import parse_yaml, read_text
from finetune_operator.settings import Settings

_ADAPTER: Final = TypeAdapter(Settings)
_UNKNOWN: Final = ("extra_forbidden", "unexpected_keyword_argument")
"""What pydantic calls an unknown key, which `_unknown_keys` tells better."""


def load_settings(path: Path) -> Settings:
    """Return the settings in the file at `path`.

    Raises ConfigInvalid with all mistakes at once, or when the file cannot be read.
    """
    documents = parse_yaml(read_text(path), str(path))
    if len(documents) > 1:
        raise ConfigInvalid.of([Problem(str(path), f"expected one document, found {len(documents)}")])
    return parse_settings(documents[0].value if documents else {}, str(path))


def parse_settings(document: object, where: str = "settings") -> Settings:
    """Return the settings in a document of plain values; raises ConfigInvalid with all mistakes, each with `where`."""
    if not isinstance(document, Mapping):
        raise ConfigInvalid.of([Problem(where, "expected a mapping of settings", "see values.yaml of the chart")])
    problems = list(_unknown_keys(Settings, document, ""))
    try:
        settings = _ADAPTER.validate_python(document)
    except ValidationError as error:
        known = [one for one in error.errors(include_url=False) if one["type"] not in _UNKNOWN]
        problems += problems_of(known, document)
        raise ConfigInvalid.of([_placed(problem, where) for problem in problems]) from None
    return settings


def _unknown_keys(owner: type, document: Mapping[Any, Any], path: str) -> Iterator[Problem]:
    """Yield a problem for each key that `owner` or a part of it does not have, naming the nearest that it has."""
    parts = get_type_hints(owner)
    known = {to_camel(field.name): parts[field.name] for field in fields(owner)}
    for key, value in document.items():
        if key not in known:
            close = nearest(str(key), known)
            hint = f"did you mean {close}?" if close else f"known here: {', '.join(known)}"
            yield Problem(join(path, key), "unknown key", hint)
        elif is_dataclass(part := known[key]) and isinstance(part, type) and isinstance(value, Mapping):
            yield from _unknown_keys(part, value, join(path, key))


def _placed(problem: Problem, where: str) -> Problem:
    return Problem(f"{where}: {problem.path}", problem.message, problem.hint)
