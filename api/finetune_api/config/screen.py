"""First look at a raw document: unknown, ignored and refused keys, before any value is judged."""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Final

from finetune_api.config.keys import OPEN_PARTS, table_of
from finetune_api.config.refusal import KeyTable, Refusal
from finetune_api.config.section import Section, child_sections, fields_by_key, names_of
from finetune_api.errors import Problem

_CLOSE: Final = 0.6
_VERY_CLOSE: Final = 0.8
"""In a part with open keys, only a near-certain slip is a mistake."""


@dataclass
class Screening:
    """What a first look found; `found` keeps the order of the file."""

    problems: list[Problem] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)

    def report(self, path: str, message: str, hint: str | None = None) -> None:
        """Add a mistake."""
        self.problems.append(Problem(path, message, hint))


def screen(root: type[Section], document: Mapping[Any, Any]) -> tuple[dict[str, Any], Screening]:
    """Return `document` with only keys that `root` knows, and what was found on the way.

    A misspelt key is reported and then read as the key it resembles, so that it is one mistake, not two.
    """
    screening = Screening()
    return _Screener(root, screening).section(root, document, ""), screening


@dataclass(frozen=True)
class _Screener:
    root: type[Section]
    found: Screening

    def section(self, model: type[Section], raw: Mapping[Any, Any], path: str) -> dict[str, Any]:
        """Return the keys of `raw` that `model` can judge."""
        table = table_of(model.part)
        kept: dict[str, Any] = {}
        for key, value in raw.items():
            here = join(path, key)
            name = self._accepted_name(model, table, raw, key, value, here)
            if name is None:
                continue
            if value is None and model.empty_when_null:
                kept[name] = {}
            elif value is not None:  # null means "not given"
                kept[name] = self._value(model, name, value, here)
        return kept

    def _accepted_name(
        self, model: type[Section], table: KeyTable, raw: Mapping[Any, Any], key: Any, value: Any, here: str
    ) -> str | None:
        """Return the field that `key` is read as, or None when it is not kept."""
        if key in table.ignored:
            if value is not None:
                self.found.ignored.append(here)
            return None
        refusal = _refusal(table, key, value)
        if refusal is not None:
            self.found.report(here, *_refusal_sentence(refusal))
            return None
        if key in fields_by_key(model) or model.model_config.get("extra") == "allow":
            return str(key)
        return None if key in table.refused else self._unknown(model, table, raw, str(key), here)

    def _unknown(
        self, model: type[Section], table: KeyTable, raw: Mapping[Any, Any], key: str, here: str
    ) -> str | None:
        moved = table.moved.get(key) or places(self.root).get(key)
        if moved == here:
            # A sibling has it: `eps` exists for AdamW, but the file asks for Lion.
            self.found.report(here, f"{' or '.join(names_of(model))} has no such key", _known_keys(model))
            return None
        if moved is not None:
            self.found.report(here, "unknown key", f"did you mean {moved}?")
            return None
        fields = fields_by_key(model)
        close = nearest(key, [*fields, *sorted(table.ignored)], _CLOSE)
        self.found.report(here, "unknown key", f"did you mean {close}?" if close else _known_keys(model))
        return close if close in fields and raw.get(close) is None else None

    def _value(self, model: type[Section], key: str, value: Any, here: str) -> Any:
        open_part = OPEN_PARTS.get((model.part, key))
        if open_part is not None and isinstance(value, Mapping):
            return self._open(open_part.part, open_part.known, value, here)
        sections = child_sections(model).get(key, ())
        if sections and isinstance(value, list):
            return [self._child(sections, item, f"{here}[{index}]") for index, item in enumerate(value)]
        return self._child(sections, value, here)

    def _child(self, sections: tuple[type[Section], ...], value: Any, here: str) -> Any:
        if not sections or not isinstance(value, Mapping):
            return value
        if len(sections) > 1 and "name" not in value:
            value = self._with_name(sections, value, here)
        model = _chosen(sections, value.get("name"))
        if model is not None:
            return self.section(model, value, here)
        for section in sections:
            refusal = _refusal(table_of(section.part), "name", value.get("name"))
            if refusal is not None:
                self.found.report(f"{here}.name", *_refusal_sentence(refusal))
                break
        return dict(value)

    def _with_name(self, sections: tuple[type[Section], ...], value: Mapping[Any, Any], here: str) -> Mapping[Any, Any]:
        """Read a misspelt `name` as the name, since it decides which other keys there are."""
        known = {key for section in sections for key in fields_by_key(section)}
        unknown = [str(key) for key in value if key not in known]
        typo = nearest("name", unknown)
        if typo is None:
            return value
        self.found.report(join(here, typo), "unknown key", "did you mean name?")
        return {"name" if key == typo else key: item for key, item in value.items()}

    def _open(self, part: str, known: Iterable[str], raw: Mapping[Any, Any], path: str) -> dict[str, Any]:
        """Screen a mapping that is passed on to a library, whose keys are not all known."""
        table = table_of(part)
        for key, value in raw.items():
            here, refusal = join(path, key), _refusal(table, key, value)
            close = None if key in known else nearest(str(key), known, _VERY_CLOSE)
            if refusal is not None:
                self.found.report(here, *_refusal_sentence(refusal))
            elif close is not None:
                self.found.report(here, "unknown key", f"did you mean {close}?")
        return dict(raw)


def join(path: str, key: Any) -> str:
    """Return the path of `key` inside `path`."""
    return f"{path}.{key}" if path else str(key)


def nearest(word: str, known: Iterable[str], cutoff: float = _CLOSE) -> str | None:
    """Return the known word most like `word`, or None when none is close."""
    candidates = list(known)
    matches = difflib.get_close_matches(word, candidates, n=1, cutoff=cutoff)
    # difflib finds nothing in common between two short words with swapped letters, such as lr and rl.
    swapped = (candidate for candidate in candidates if sorted(candidate) == sorted(word))
    return matches[0] if matches else next(swapped, None)


@cache
def places(root: type[Section]) -> Mapping[str, str]:
    """Return where below `root` each key belongs, for keys that clearly belong to one place."""
    found: dict[str, set[str]] = {}
    for path, key in _walk(root, ""):
        found.setdefault(key, set()).add(path)
    shortest = {key: _only_shortest(paths) for key, paths in found.items() if "" not in paths}
    return {key: join(path, key) for key, path in shortest.items() if path is not None}


def _only_shortest(paths: set[str]) -> str | None:
    """Return the path of the fewest steps, or None when there are several."""
    depth = min(path.count(".") for path in paths)
    shortest = [path for path in paths if path.count(".") == depth]
    return shortest[0] if len(shortest) == 1 else None


def _walk(model: type[Section], path: str) -> Iterator[tuple[str, str]]:
    for key in fields_by_key(model):
        yield path, key
        if not key.startswith("eval_loader"):  # the same keys as under train_loader
            for section in child_sections(model).get(key, ()):
                yield from _walk(section, join(path, key))


def _chosen(sections: tuple[type[Section], ...], name: Any) -> type[Section] | None:
    if len(sections) == 1:
        return sections[0]
    return next((section for section in sections if name in names_of(section)), None)


def _refusal(table: KeyTable, key: Any, value: Any) -> Refusal | None:
    refusal = table.refused.get(key)
    if refusal is not None and value is not None and not any(_same(value, ok) for ok in refusal.harmless):
        return refusal
    named = table.refused_values.get(key, {}).get(value) if isinstance(value, str) else None
    return replace(named, subject=str(value)) if named else None


def _same(value: Any, harmless: Any) -> bool:
    return bool(value == harmless) and isinstance(value, bool) == isinstance(harmless, bool)


def _refusal_sentence(refusal: Refusal) -> tuple[str, str]:
    if refusal.later:
        return f"{refusal.reason} is not supported yet", "leave the key out"
    return f"{refusal.subject} is not supported" if refusal.subject else "not supported", refusal.reason


def _known_keys(model: type[Section]) -> str | None:
    keys = list(fields_by_key(model))
    return f"known here: {', '.join(keys)}" if 0 < len(keys) <= 8 else None
