"""What Prometheus and Grafana are given exists: metrics, ports, labels."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from prometheus_client import generate_latest

from finetune_api.names import training_pod_labels
from finetune_operator.runtime.metrics import Metrics
from finetune_operator.runtime.store import Store
from finetune_operator.runtime.work_queue import WorkQueue
from finetune_operator.settings import Settings
from support.charts import CHART, CHOSEN, EVERYTHING, NAME, only, render
from support.shell import ROOT

DASHBOARD: Final = json.loads((CHART / "files" / "dashboard.json").read_text(encoding="utf-8"))
_METRIC: Final = re.compile(r"\bfinetune_\w+")


def test_the_dashboard_asks_only_for_metrics_that_the_operator_or_a_run_has() -> None:
    asked = _families(name for text in _expressions() for name in _METRIC.findall(text))
    assert asked - _of_the_operator() - _of_a_run() == set()


def test_every_metric_of_the_operator_is_on_the_dashboard() -> None:
    asked = _families(name for text in _expressions() for name in _METRIC.findall(text))
    assert _of_the_operator() - asked == set()


def test_panels_do_not_overlap_and_each_says_what_it_shows() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not taken & cells, panel["title"]
        assert place["x"] + place["w"] <= 24
        assert panel["type"] == "row" or panel["description"]
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_the_dashboard_reaches_grafana_unchanged() -> None:
    config_map = only(render("monitoring.dashboard.enabled=true"), "ConfigMap", f"{NAME}-dashboard")
    assert json.loads(config_map["data"]["finetune.json"]) == DASHBOARD
    assert config_map["metadata"]["labels"]["grafana_dashboard"] == "1"


def test_the_service_monitor_finds_the_service_by_labels_and_port() -> None:
    objects = render(*EVERYTHING)
    spec, service = only(objects, "ServiceMonitor")["spec"], only(objects, "Service")
    assert spec["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert spec["endpoints"][0]["port"] in [port["name"] for port in service["spec"]["ports"]]


def test_the_pod_monitor_finds_rank_0_of_every_run_and_tells_runs_apart() -> None:
    spec = only(render(*EVERYTHING), "PodMonitor")["spec"]
    assert spec["namespaceSelector"] == {"any": True}
    wanted = spec["selector"]["matchLabels"].items()
    assert wanted <= training_pod_labels("job", "uid", 3, 0).items()
    assert not wanted <= training_pod_labels("job", "uid", 3, 1).items()
    sources = [one["sourceLabels"][0] for one in spec["podMetricsEndpoints"][0]["relabelings"]]
    labels = {re.sub(r"\W", "_", name) for name in training_pod_labels("job", "uid", 3, 0)}
    assert {source.removeprefix("__meta_kubernetes_pod_label_") for source in sources} <= labels


def test_the_pod_monitor_keeps_to_the_namespaces_that_are_watched() -> None:
    spec = only(render(*EVERYTHING, *CHOSEN), "PodMonitor")["spec"]
    assert spec["namespaceSelector"] == {"matchNames": ["team-a", "team-b"]}


def test_the_operator_may_ask_runs_at_the_port_where_they_answer() -> None:
    egress = only(render(*EVERYTHING, "settings.network.progressPort=9999"), "NetworkPolicy")["spec"]["egress"]
    assert [rule["ports"] for rule in egress if "to" in rule] == [[{"port": 9999}]]
    assert Settings().network.progress_port == 8080


def _expressions() -> Iterator[str]:
    for panel in DASHBOARD["panels"]:
        yield from (target["expr"] for target in panel.get("targets", []))
    for variable in DASHBOARD["templating"]["list"]:
        query: Any = variable["query"]
        yield query["query"] if isinstance(query, dict) else query


def _of_the_operator() -> set[str]:
    metrics = Metrics()
    metrics.watch_queue(WorkQueue("jobs"))
    metrics.watch_jobs(Store(dict))
    metrics.watch_requests(lambda: {("get", "pods"): 1})
    return _families(re.findall(r"^# TYPE (\w+)", generate_latest(metrics.registry).decode(), re.MULTILINE))


def _families(series: Iterable[str]) -> set[str]:
    return {re.sub(r"_(total|count|sum|bucket|created)$", "", name) for name in series}


def _of_a_run() -> set[str]:
    page = (ROOT / "docs" / "observing.md").read_text(encoding="utf-8")
    return _families(re.findall(r"^\| `(finetune_\w+)", page, re.MULTILINE))
