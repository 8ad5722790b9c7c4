"""Objects that pods mount are looked for when a pod waits for its volumes, and not otherwise."""

from datetime import timedelta
from typing import Any

import pytest

from finetune_operator.observed import Reference, SeenJob
from finetune_operator.references import references_of, worth_a_look
from finetune_operator.settings import PodSettings, Settings
from support.blueprints import blueprint
from support.configs import training
from support.fake_cluster import FakeCluster
from support.operator_jobs import inline_job, job

DATA = {"volume": {"configMap": {"name": "arc-easy-data"}}}
OUTPUT = Reference("PersistentVolumeClaim", "results")


def test_everything_that_somebody_else_creates_is_named_once() -> None:
    spec: dict[str, Any] = {
        "dataset": DATA,
        "model": {"volume": {"persistentVolumeClaim": {"claimName": "model"}}},
        "code": {"configMap": {"name": "code"}},
        "podTemplate": {"volumes": [{"name": "extra", "configMap": {"name": "arc-easy-data"}}]},
    }
    assert set(references_of(blueprint(**spec))) == {
        *(OUTPUT, Reference("ConfigMap", "arc-easy-data"), Reference("ConfigMap", "code")),
        Reference("PersistentVolumeClaim", "model"),
    }
    assert len(references_of(blueprint(**spec))) == 4


def test_what_the_operator_creates_itself_is_not_looked_for() -> None:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    assert references_of(blueprint(output={"volumeClaimTemplate": {"spec": spec}})) == ()


def test_the_certificates_of_the_container_that_fetches_are_looked_for() -> None:
    settings = Settings(pods=PodSettings(ca_config_map="corporate-ca"))
    assert Reference("ConfigMap", "corporate-ca") in references_of(blueprint(settings, config=training()))
    assert Reference("ConfigMap", "corporate-ca") not in references_of(blueprint(settings))


def looked_for(cluster: FakeCluster) -> tuple[Reference, ...]:
    """What the operator asks for now."""
    return worth_a_look(SeenJob.of(cluster.job), cluster.observed(), cluster.now, cluster.settings)


@pytest.mark.parametrize("document", [job(dataset=DATA), inline_job(dataset=DATA)], ids=["prepare", "train"])
def test_a_pod_with_a_node_that_does_not_start_makes_the_operator_look(document: dict[str, Any]) -> None:
    cluster = FakeCluster(document)
    cluster.settle()
    cluster.wait(60)
    assert looked_for(cluster) == ()
    pod = cluster.pods()[0]
    pod["spec"]["nodeName"] = "node-0"
    assert looked_for(cluster) == (OUTPUT, Reference("ConfigMap", "arc-easy-data"))
    cluster.now -= timedelta(seconds=55)
    assert looked_for(cluster) == ()


def test_a_pod_that_pulls_its_image_has_all_it_mounts() -> None:
    cluster = FakeCluster(inline_job())
    cluster.settle()
    cluster.wait(60)
    for pod in cluster.pods():
        pod["spec"]["nodeName"] = "node-0"
        pod["status"]["conditions"] = [{"type": "PodReadyToStartContainers", "status": "True"}]
    assert looked_for(cluster) == ()
