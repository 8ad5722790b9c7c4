"""Overrides and interpolations: from what is written to plain values, with OmegaConf."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import InterpolationKeyError, OmegaConfBaseException

from finetune_api.config.problems import shown
from finetune_api.config.screen import nearest
from finetune_api.errors import ConfigInvalid, Problem
from finetune_api.yaml_text import parse_yaml

_REFERENCE: Final = re.compile(r"\$\{\s*(?:oc\.(?:select|dict\.\w+|create)\s*:\s*)?\[?['\"]?([A-Za-z_]\w*)")
_ENVIRONMENT: Final = re.compile(r"\$\{\s*oc\.env\b")
_MISSING: Final = "???"
_DEEPEST: Final = 50


def apply_overrides(document: Mapping[str, Any], overrides: Sequence[str]) -> tuple[Any, list[Problem]]:
    """Return `document` as an OmegaConf tree with each `key.sub=value` set, and the overrides that failed."""
    problems: list[Problem] = []
    try:
        tree = OmegaConf.create(dict(document))
    except (OmegaConfBaseException, RecursionError) as error:
        path = str(getattr(error, "full_key", None) or "")
        raise ConfigInvalid.of([Problem(path, f"cannot be read: {_first_line(error)}")]) from None
    for override in overrides:
        try:
            _override(tree, override)
        except ValueError as error:
            problems.append(Problem(override, str(error), "write key.sub=value"))
    return tree, problems


def _override(tree: DictConfig, override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise ValueError("not an override")
    try:
        documents = parse_yaml(text)
        value = documents[0].value if documents else None
        OmegaConf.update(tree, key.strip(), value, merge=False, force_add=True)
    except ConfigInvalid:
        raise ValueError("the value is not YAML") from None
    except (OmegaConfBaseException, TypeError, AttributeError, IndexError, AssertionError) as error:
        raise ValueError(f"cannot be set: {_first_line(error)}") from None


def resolve(tree: Any, *, environment: bool) -> tuple[Any, list[Problem]]:
    """Return `tree` as plain values, and each interpolation that could not be resolved.

    `${oc.env:NAME}` is an error unless `environment` is true.
    """
    resolver = _Resolver(environment)
    value = resolver.plain(tree, "", 0)
    return value, resolver.problems


class _Resolver:
    def __init__(self, environment: bool) -> None:
        self.environment = environment
        self.problems: list[Problem] = []

    def plain(self, node: Any, path: str, depth: int) -> Any:
        if depth > _DEEPEST:
            self.problems.append(Problem(path, "nested too deeply", "does it refer to itself?"))
            return None
        if isinstance(node, DictConfig):
            return {key: self._child(node, key, _join(path, key), depth) for key in node}
        if isinstance(node, ListConfig):
            return [self._child(node, i, f"{path}[{i}]", depth) for i in range(len(node))]
        return node

    def _child(self, parent: Any, key: Any, path: str, depth: int) -> Any:
        raw = parent._get_node(key)
        text = raw._value() if raw is not None else None
        if text == _MISSING:
            self.problems.append(Problem(path, "no value given (???)"))
            return None
        if isinstance(text, str) and not self.environment and _ENVIRONMENT.search(text):
            self.problems.append(
                Problem(path, "reads an environment variable", "only a file run from a shell may do that")
            )
            return None
        try:
            return self.plain(parent[key], path, depth + 1)
        except (OmegaConfBaseException, RecursionError, ValueError, TypeError) as error:
            self.problems.append(_unresolved(path, text, error, parent))
            return None


def _unresolved(path: str, text: object, error: Exception, parent: Any) -> Problem:
    if isinstance(error, InterpolationKeyError):
        names = references(text)
        known = [str(key) for key in parent._get_root()]
        close = next((close for name in names if (close := nearest(name, known))), None)
        hint = f"did you mean {close}?" if close and close not in names else None
        return Problem(path, f"{shown(text)} refers to a key that does not exist", hint)
    return Problem(path, f"{shown(text)} cannot be resolved: {_first_line(error)}")


def references(tree: object) -> set[str]:
    """Return the top-level names that interpolations anywhere in `tree` begin with."""
    value = OmegaConf.to_container(tree, resolve=False) if OmegaConf.is_config(tree) else tree
    return {name for text in _texts(value) for name in _REFERENCE.findall(text)}


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _join(path: str, key: Any) -> str:
    return f"{path}.{key}" if path else str(key)


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
