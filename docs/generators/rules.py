"""The sentences with which the API server refuses a job, and what may change once a job exists."""

from collections.abc import Iterator
from typing import Any, Final

from docs.generators.fields import Schema

from finetune_api.job.cel import VALIDATIONS

_FORBIDDEN: Final = "FieldValueForbidden"
"""Reason of the rules about a change."""
_WHOLE: Final = "cannot change"
"""What distinguishes a field that may never change from one that may within bounds."""


def rules_of(schema: Schema, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield each rule below `schema`: the path that it is about, and its sentence."""
    for rule in schema.get(VALIDATIONS, ()):
        if not _about_a_change(rule):
            yield f"{path}{rule.get('fieldPath', '')}".lstrip("."), rule["message"]
    for name, inner in schema.get("properties", {}).items():
        yield from rules_of(inner, f"{path}.{name}".lstrip("."))
    for key, sign in (("items", "[]"), ("additionalProperties", ".*")):
        if isinstance(inner := schema.get(key), dict):
            yield from rules_of(inner, path + sign)


def paths_by_sentence(schema: Schema, path: str = "") -> dict[str, list[str]]:
    """Return every sentence with the paths that it may be about."""
    found: dict[str, list[str]] = {}
    for where, sentence in rules_of(schema, path):
        found.setdefault(sentence, []).append(where)
    return found


def may_change(spec: Schema, path: str) -> str:
    """Say whether the field at `path` of a spec may change once the job exists."""
    changes = {rule["fieldPath"].lstrip("."): rule["message"] for rule in spec[VALIDATIONS] if _about_a_change(rule)}
    rule = next((said for about, said in changes.items() if f"{path}.".startswith((f"{about}.", f"{about}["))), None)
    if rule is None:
        return "in part" if any(about.startswith(f"{path}.") for about in changes) else "yes"
    return "no" if _WHOLE in rule else rule.removeprefix(f"{path} can only change ").partition(",")[0]


def _about_a_change(rule: Any) -> bool:
    return bool(rule.get("reason") == _FORBIDDEN)
