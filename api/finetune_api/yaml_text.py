"""Reads YAML the way training files are written: `6e-4` is a number, a date is text, no key comes twice."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from finetune_api.errors import ConfigInvalid, Problem

_FLOAT_TAG: Final = "tag:yaml.org,2002:float"
_TIMESTAMP_TAG: Final = "tag:yaml.org,2002:timestamp"
_MERGE_TAG: Final = "tag:yaml.org,2002:merge"

# YAML 1.1 wants a dot in a float; 6e-4 would be text.
_FLOAT: Final = re.compile(
    r"[-+]?(?:\d[\d_]*\.[\d_]*(?:[eE][-+]?\d+)?|\d[\d_]*[eE][-+]?\d+|\.\d[\d_]*(?:[eE][-+]?\d+)?|\.(?:inf|Inf|INF))$"
    r"|\.(?:nan|NaN|NAN)$"
)

_MOST_VALUES: Final = 1_000_000


@dataclass(frozen=True)
class YamlDocument:
    """One document: its value, and the top-level keys that an alias elsewhere refers to."""

    value: Any
    aliased_keys: frozenset[str]


class _Loader(yaml.SafeLoader):
    """A safe loader that notices repeated keys and remembers which nodes are aliased."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.aliased: list[yaml.Node] = []

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        alias = self.check_event(yaml.AliasEvent)
        node = super().compose_node(parent, index)
        if alias and node is not None:
            self.aliased.append(node)
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        # Checked before merge keys are flattened, which may repeat keys rightly.
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE_TAG:
                if key.value in seen:
                    raise yaml.MarkedYAMLError(None, None, f"{key.value} is written twice", key.start_mark)
                seen.add(key.value)
        return node


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in (_FLOAT_TAG, _TIMESTAMP_TAG)]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_FLOAT_TAG, _FLOAT, list("-+.0123456789"))


def read_text(source: Path) -> str:
    """Return the text of a file; raises ConfigInvalid when it cannot be read as UTF-8."""
    try:
        return source.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigInvalid.of([Problem(str(source), "no such file", "check the path")]) from None
    except OSError as error:
        raise ConfigInvalid.of([Problem(str(source), str(error.strerror))]) from None
    except UnicodeDecodeError as error:
        problem = Problem(str(source), f"not UTF-8 text (byte {error.start})", "save it as UTF-8")
        raise ConfigInvalid.of([problem]) from None


def parse_yaml(text: str, where: str = "") -> list[YamlDocument]:
    """Return the documents of `text` that are not empty.

    Raises ConfigInvalid naming `where`, line and column of what is not YAML.
    """
    try:
        return list(_documents(_Loader(text)))
    except yaml.MarkedYAMLError as error:
        raise ConfigInvalid.of([_syntax_problem(error, where)]) from None
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigInvalid.of([Problem(where, f"not YAML: {' '.join(str(error).split())}")]) from None
    except RecursionError:
        raise ConfigInvalid.of([Problem(where, "nested too deeply")]) from None


def _documents(loader: _Loader) -> Iterator[YamlDocument]:
    while loader.check_node():
        loader.aliased = []
        root = loader.get_node()
        _size(root, {})
        aliased_keys = frozenset(_aliased_keys(root, loader.aliased))  # before merges change the nodes
        value = loader.construct_document(root)
        if value is not None:
            yield YamlDocument(value, aliased_keys)


def _size(node: yaml.Node | None, known: dict[int, int | None]) -> int:
    """Return how many values `node` stands for; raises for one that holds itself or explodes."""
    if not isinstance(node, yaml.MappingNode | yaml.SequenceNode):
        return 1
    if id(node) not in known:
        known[id(node)] = None  # being counted
        items = (child for item in node.value for child in (item if isinstance(item, tuple) else (item,)))
        known[id(node)] = 1 + sum(_size(child, known) for child in items)
    size = known[id(node)]
    if size is None:
        raise yaml.MarkedYAMLError(None, None, "an alias stands inside what it refers to", node.start_mark)
    if size > _MOST_VALUES:
        raise yaml.MarkedYAMLError(None, None, "aliases make this far too large", node.start_mark)
    return size


def _aliased_keys(root: yaml.Node | None, aliased: list[yaml.Node]) -> Iterator[str]:
    """Yield the top-level keys under which an aliased node is defined, that is, occurs first."""
    unclaimed = {id(node) for node in aliased}
    for key, value in root.value if isinstance(root, yaml.MappingNode) and unclaimed else ():
        claimed = unclaimed & set(_identities(value, set()))
        if claimed:
            yield str(key.value)
            unclaimed -= claimed


def _identities(node: yaml.Node, seen: set[int]) -> Iterator[int]:
    if id(node) in seen:
        return
    seen.add(id(node))
    yield id(node)
    if isinstance(node, yaml.MappingNode | yaml.SequenceNode):
        for item in node.value:
            for child in item if isinstance(item, tuple) else (item,):
                yield from _identities(child, seen)


def _syntax_problem(error: yaml.MarkedYAMLError, where: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    path = ", ".join(part for part in (where, place) if part)
    return Problem(path, error.problem or str(error))
