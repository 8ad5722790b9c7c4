"""The page for the people who run the operator agrees with what it serves."""

import re
from collections.abc import Iterator

import yaml
from prometheus_client import Metric

from finetune_operator.runtime.metrics import Metrics
from finetune_operator.runtime.store import Store
from finetune_operator.runtime.work_queue import WorkQueue
from support.charts import NAME, of_kind, render
from support.shell import ROOT

PAGE = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
VALUES = yaml.safe_load((ROOT / "charts" / "finetune-operator" / "values.yaml").read_text(encoding="utf-8"))


def _served() -> dict[str, set[str]]:
    """Every metric as Prometheus calls it, with its labels."""
    metrics = Metrics()
    metrics.watch_queue(WorkQueue("jobs"))
    metrics.watch_jobs(Store(dict))
    metrics.watch_requests(lambda: {("get", "pods"): 1})
    metrics.reconciled("success", 1.0)
    return {_name(family): set(_labels(family)) for family in metrics.registry.collect()}


def _name(family: Metric) -> str:
    return f"{family.name}_total" if family.type == "counter" else family.name


def _labels(family: Metric) -> Iterator[str]:
    for sample in family.samples:
        yield from (label for label in sample.labels if label != "le")


def test_the_table_of_metrics_is_what_the_operator_serves() -> None:
    rows = re.findall(r"^\| `(finetune_operator_\w+)` \| (.*?) ?\|", PAGE, re.MULTILINE)
    told = {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows}
    served = _served()
    assert set(told) == set(served)
    assert {name: labels for name, labels in served.items() if not labels <= told[name]} == {}


def test_every_alert_asks_for_metrics_that_are_served() -> None:
    alerts = PAGE.partition("Alerts to begin with:")[2].partition("\n## ")[0]
    asked = set(re.findall(r"finetune_operator_\w+", alerts))
    assert len(asked) > 4
    assert asked <= set(_served())


def test_the_rights_are_those_that_the_chart_grants() -> None:
    table = PAGE.partition("\n## Rights\n")[2].partition("|---|---|\n")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| ([a-z].*?) \| (.*?) \|$", table, re.MULTILINE)
    told = {resource: _verbs(verbs) for named, verbs in rows for resource in _resources(named)}
    assert told == _granted()


def _resources(named: str) -> list[str]:
    """What the first column names, without the words after it."""
    found = re.match(r"[a-z/]+(?:, [a-z/]+(?=,|$))*", named)
    assert found is not None
    return found[0].split(", ")


def _verbs(told: str) -> set[str]:
    return set(re.findall(r"\b(?:get|list|watch|create|delete|update|patch)\b", told.partition(":")[0]))


def _granted() -> dict[str, set[str]]:
    """What the chart gives the operator's account, with everything switched on."""
    granted: dict[str, set[str]] = {}
    chart = render("rbac.gangSchedulers={Volcano,Coscheduling}", "rbac.aggregateToUserRoles=false")
    roles = [*of_kind(chart, "ClusterRole"), *of_kind(chart, "Role", f"{NAME}-lease")]
    for rule in [rule for role in roles for rule in role["rules"]]:
        for resource in rule["resources"]:
            granted.setdefault(resource, set()).update(rule["verbs"])
    return granted


def test_the_number_of_workers_is_the_charts() -> None:
    assert f"`workers` ({VALUES['workers']})" in PAGE


def test_every_value_of_the_chart_that_is_named_exists() -> None:
    table = PAGE.partition("Values that matter:")[2].partition("\n## ")[0]
    named = [
        name for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall(r"`([\w.]+)`", row)
    ]
    assert len(named) > 12
    assert [name for name in named if not _is_value(name)] == []


def _is_value(name: str) -> bool:
    places = [VALUES, VALUES["settings"], VALUES["settings"]["pods"]]
    return any(_within(place, name.split(".")) for place in places)


def _within(place: object, path: list[str]) -> bool:
    for step in path:
        if not isinstance(place, dict) or step not in place:
            return False
        place = place[step]
    return True
