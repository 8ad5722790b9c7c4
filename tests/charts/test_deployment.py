"""The operator's pod: its image, its safety, its place."""

import pytest

from finetune_operator.__main__ import parser
from support.charts import EVERYTHING, NAME, NAMESPACE, Body, of_kind, only, operator_pod, render
from support.restricted import breaches

DIGEST = "sha256:" + "a" * 64
IMAGES = {
    (): "finetune-operator:0.1.0",
    ("image.tag=1.2.3",): "finetune-operator:1.2.3",
    ("image.repository=registry.example.com/ml/op",): "registry.example.com/ml/op:0.1.0",
    (f"image.digest={DIGEST}",): f"finetune-operator@{DIGEST}",
    ("image.tag=1.2.3", f"image.digest={DIGEST}"): f"finetune-operator@{DIGEST}",
}


@pytest.mark.parametrize(("values", "image"), IMAGES.items())
def test_a_digest_wins_over_a_tag_and_a_tag_over_the_charts_version(values: tuple[str, ...], image: str) -> None:
    assert operator_pod(*values)["containers"][0]["image"] == image


def _pods(*values: str) -> list[Body]:
    return [operator_pod(*values), only(render(*values), "Pod")["spec"]]


@pytest.mark.parametrize("values", [(), EVERYTHING, ("podSecurityContext.runAsUser=null",)])
def test_every_pod_of_the_chart_is_restricted(values: tuple[str, ...]) -> None:
    for spec in _pods(*values):
        # Unlike pods of jobs, these speak to the API server, as an account of their own.
        judged = {**spec, "automountServiceAccountToken": False, "serviceAccountName": None}
        assert list(breaches(judged)) == []


def test_without_a_user_the_cluster_chooses_one() -> None:
    security = operator_pod("podSecurityContext.runAsUser=null")["securityContext"]
    assert security["runAsNonRoot"] is True
    assert "runAsUser" not in security


def test_probes_ask_the_health_port() -> None:
    container = operator_pod("ports.health=8090")["containers"][0]
    paths = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    assert {probe["port"] for probe in paths.values()} == {"health"}
    assert (paths["liveness"]["path"], paths["readiness"]["path"]) == ("/healthz", "/readyz")
    assert {"name": "health", "containerPort": 8090} in container["ports"]
    assert "--health-port=8090" in container["args"]


def test_the_arguments_say_whose_jobs_are_run() -> None:
    chosen = operator_pod("watch.namespaces={a,b}")["containers"][0]["args"]
    left = operator_pod("watch.excludeNamespaces={c}")["containers"][0]["args"]
    assert [one for one in chosen if "namespace" in one] == ["--namespace=a", "--namespace=b"]
    assert [one for one in left if "namespace" in one] == ["--exclude-namespace=c"]


def test_the_operator_understands_every_argument() -> None:
    values = (("watch.namespaces={a,b}",), ("watch.excludeNamespaces={c}", "logFormat=text", "workers=3"))
    for one in (*values, ()):
        container = operator_pod(*one)["containers"][0]
        assert container["command"] == ["python", "-m", "finetune_operator"]
        options = parser().parse_args(container["args"])
        assert options.lease == (NAMESPACE, NAME)
        assert str(options.settings) == "/etc/finetune-operator/settings.yaml"
    assert parser().parse_args([]).workers == options.workers


def test_the_pod_restarts_when_the_settings_change_and_only_then() -> None:
    def mark(*values: str) -> str:
        template = only(render(*values), "Deployment")["spec"]["template"]
        return str(template["metadata"]["annotations"]["checksum/settings"])

    assert mark() == mark("replicas=2", "podAnnotations.team=ml")
    assert mark() != mark("settings.timing.survivorGrace=6")
    assert mark() != mark("trainer.image.tag=v2")


def test_a_disruption_budget_comes_with_the_second_replica() -> None:
    assert of_kind(render(), "PodDisruptionBudget") == []
    assert of_kind(render("replicas=2", "podDisruptionBudget.enabled=false"), "PodDisruptionBudget") == []
    assert only(render("replicas=2"), "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1


def test_selectors_find_the_operators_pods_and_not_the_test_pod() -> None:
    objects = render(*EVERYTHING)
    deployment = only(objects, "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"].items()
    selectors = [
        deployment["spec"]["selector"]["matchLabels"],
        only(objects, "Service")["spec"]["selector"],
        only(objects, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        only(objects, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
    ]
    assert all(selector.items() <= labels for selector in selectors)
    assert not selectors[0].items() <= only(objects, "Pod")["metadata"]["labels"].items()


def test_labels_of_ones_own_cannot_take_the_pod_from_its_selector() -> None:
    deployment = only(render("commonLabels.team=a", "podLabels.team=b"), "Deployment")
    assert deployment["spec"]["template"]["metadata"]["labels"]["team"] == "b"
    assert deployment["metadata"]["labels"]["team"] == "a"


def test_the_lease_belongs_to_the_release_unless_an_applier_refuses_leases() -> None:
    assert only(render(), "Lease")["metadata"]["namespace"] == NAMESPACE
    assert of_kind(render("leaderElection.createLease=false"), "Lease") == []


def test_the_network_policy_lets_in_probes_and_scrapers_and_lets_out_what_the_operator_asks() -> None:
    spec = only(render(*EVERYTHING), "NetworkPolicy")["spec"]
    health, metrics = spec["ingress"]
    assert health == {"ports": [{"port": 8081}]}
    assert metrics["from"][0]["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "monitoring"}
    assert [port["port"] for rule in spec["egress"] for port in rule["ports"]] == [443, 6443, 53, 53, 8080]
