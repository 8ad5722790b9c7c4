"""values.yaml explains every value, and values.schema.json refuses whatever else is set."""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

import pytest
import yaml

from support.charts import CHART, refusal, render

VALUES: Final = (CHART / "values.yaml").read_text(encoding="utf-8")
SCHEMA: Final = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
_KEY: Final = re.compile(r"( *)([A-Za-z]\w*):")

REFUSED: Final = {
    "imag.tag=1": "imag",
    "image.digst=x": "digst",
    "image.digest=latest": "image/digest",
    "image.repository=": "image/repository",
    "image.tag=a b": "image/tag",
    "image.pullPolicy=Sometimes": "image/pullPolicy",
    "trainer.tag=1": "tag",
    "trainer.image.repository=a@b": "trainer/image/repository",
    "crds.instal=false": "instal",
    "crds.keep=perhaps": "crds/keep",
    "watch.namespace=a": "namespace",
    "watch.namespaces={Team_A}": "watch/namespaces/0",
    "replicas=two": "replicas",
    "replicas=-1": "replicas",
    "workers=0": "workers",
    "logFormat=xml": "logFormat",
    "leaderElection.enabled=false": "enabled",
    "serviceAccount.token=true": "token",
    "rbac.gangSchedulers={Kueue}": "rbac/gangSchedulers/0",
    "settings.trainerImage=a": "trainerImage",
    "settings.priorityClass=a": "priorityClass",
    "settings.fruitlessDisruptions=0": "settings/fruitlessDisruptions",
    "settings.pods.runAsUser=0": "settings/pods/runAsUser",
    "settings.pods.user=1000": "user",
    "settings.pods.scratchSize=ten": "settings/pods/scratchSize",
    "settings.network.masterPort=80": "settings/network/masterPort",
    "settings.network.operatorNamespace=a": "operatorNamespace",
    "settings.timing.survivorGrace=-1": "settings/timing/survivorGrace",
    "settings.timing.refusalRetry=0": "settings/timing/refusalRetry",
    "settings.timing.grace=1": "grace",
    "resources.request.cpu=1": "request",
    "podSecurityContext.privileged=true": "privileged",
    "podSecurityContext.runAsUser=0": "podSecurityContext/runAsUser",
    "extraEnv[0].nam=a": "extraEnv/0",
    "ports.health=80": "ports/health",
    "podDisruptionBudget.minAvailable=1": "minAvailable",
    "networkPolicy.enable=true": "enable",
    "networkPolicy.apiServerPorts={0}": "networkPolicy/apiServerPorts/0",
    "monitoring.serviceMonitor.interval=often": "monitoring/serviceMonitor/interval",
    "monitoring.grafana=true": "grafana",
    "admissionPolicy.actions={Refuse}": "admissionPolicy/actions/0",
    "tests.enable=false": "enable",
}
"""A value that is set, and what the refusal names."""


@pytest.mark.parametrize(("value", "named"), REFUSED.items())
def test_a_value_that_is_unknown_or_wrong_is_refused_by_name(value: str, named: str) -> None:
    assert f"'{named}'" in refusal(value).replace("'/", "'")


def test_namespaces_to_watch_and_to_leave_alone_exclude_each_other() -> None:
    sentence = "watch.excludeNamespaces: only an operator of the whole cluster leaves namespaces to others"
    assert sentence in refusal("watch.namespaces={a}", "watch.excludeNamespaces={b}")


def test_two_ports_cannot_be_one() -> None:
    assert "ports.metrics: must differ from ports.health" in refusal("ports.metrics=8081")


def test_the_chart_can_be_part_of_another() -> None:
    assert render("global.region=eu")


def test_the_schema_lists_exactly_the_values_and_says_of_each_what_values_yaml_says() -> None:
    described = dict(_described(SCHEMA, ""))
    assert described == {path: comment for path, comment in _commented().items() if path in described}
    assert set(described) == set(_paths(yaml.safe_load(VALUES), SCHEMA, ""))


def test_no_part_of_the_schema_with_names_of_its_own_lets_others_in() -> None:
    for part in _parts(SCHEMA):
        if "properties" in part:
            assert part["additionalProperties"] is False, part


def _commented() -> dict[str, str]:
    """Return the comment above each key of values.yaml, by the key's path."""
    found: dict[str, str] = {}
    path: list[str] = []
    comment: list[str] = []
    for line in VALUES.splitlines():
        if line.strip().startswith("#"):
            comment.append(line.strip().removeprefix("#").strip())
            continue
        if key := _KEY.match(line):
            path = [*path[: len(key[1]) // 2], key[2]]
            found[".".join(path)] = " ".join(comment)
        comment = []
    return found


def _described(schema: dict[str, Any], path: str) -> Iterator[tuple[str, str]]:
    for name, part in schema.get("properties", {}).items():
        below = f"{path}{name}"
        if "description" in part and below != "global":
            yield below, part["description"]
        if part.get("type") == "object":
            yield from _described(part, f"{below}.")


def _paths(values: dict[str, Any], schema: dict[str, Any], path: str) -> Iterator[str]:
    for name, value in values.items():
        part = schema.get("properties", {}).get(name, {})
        yield f"{path}{name}"
        if isinstance(value, dict) and "properties" in part and "requests" not in part["properties"]:
            yield from _paths(value, part, f"{path}{name}.")


def _parts(value: Any) -> Iterator[dict[str, Any]]:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    if isinstance(value, dict) and "type" in value:
        yield value
    for child in children:
        yield from _parts(child)
