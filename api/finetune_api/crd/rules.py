"""Puts rules into a schema: those between fields, and what may not change once a job exists."""

from typing import Any, Final

from finetune_api.crd.structural import Schema
from finetune_api.job import RULES, Rule
from finetune_api.job.cel import VALIDATIONS

MUTABLE: Final = frozenset({"nodes", "runPolicy"})
"""Fields of the spec that may change; what may not inside of them has rules of its own."""

FROZEN_POLICY: Final = ("cleanPods", "gracePeriodSeconds")
"""Fields of `runPolicy` that may not change."""

_NEW_JOB: Final = "cannot change once the job exists; create another job"
_NODES: Final = "can only change within elastic, which this job does not have"


def add_rules(root: Schema) -> None:
    """Add every rule to the schema of a whole job, in place."""
    for rule in RULES:
        for place in rule.at or (rule.path,):
            _add(_schema_at(root, place), _between_fields(rule, place))
    spec = _schema_at(root, "spec")
    for name in spec["properties"]:
        if name not in MUTABLE:
            _add(spec, _unchanged(f"self.{name}", name, name in spec["required"], f".{name}"))
    _add(spec, _kept("has(self.elastic) || self.nodes == oldSelf.nodes", f"nodes {_NODES}", ".nodes"))
    for name in FROZEN_POLICY:
        # Not on runPolicy itself: its default is an empty object, which would lack these fields.
        _add(spec, _unchanged(f"self.runPolicy.{name}", f"runPolicy.{name}", True, f".runPolicy.{name}"))


def _schema_at(root: Schema, place: str) -> Schema:
    schema = root
    for step in place.split(".") if place else ():
        name = step.removesuffix("[]")
        schema = schema["properties"][name]
        schema = schema["items"] if step.endswith("[]") else schema
    return schema


def _add(schema: Schema, rule: dict[str, Any]) -> None:
    schema.setdefault(VALIDATIONS, []).append(rule)


def _between_fields(rule: Rule, place: str) -> dict[str, Any]:
    """Return a rule of the table; its error names the rule's path when that lies below `place`."""
    below = rule.path.removeprefix(place) if rule.path.startswith(place) else ""
    field = {"fieldPath": f".{below.lstrip('.')}"} if below else {}
    return {"rule": rule.cel, "message": rule.sentence, **field}


def _unchanged(value: str, name: str, always_there: bool, field: str) -> dict[str, Any]:
    old = value.replace("self", "oldSelf")
    same = f"{value} == {old}"
    rule = same if always_there else f"has({value}) == has({old}) && (!has({value}) || {same})"
    return _kept(rule, f"{name} {_NEW_JOB}", field)


def _kept(rule: str, message: str, field: str) -> dict[str, Any]:
    return {"rule": rule, "message": message, "fieldPath": field, "reason": "FieldValueForbidden"}
