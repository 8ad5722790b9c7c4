"""What is rendered is what the operator creates, object for object."""

from typing import Any

import pytest

from finetune_api.errors import ConfigInvalid
from finetune_api.outcomes import Outcome
from finetune_operator.render import PLACEHOLDER_UID, render_children
from finetune_operator.settings import Settings
from support.configs import manifest
from support.fake_cluster import FakeCluster
from support.operator_jobs import inline_job, job, local_training

CLAIM = {"volumeClaimTemplate": {"spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": 1}}}}}
CODE = {"configMap": {"name": "code"}}


def created(document: dict[str, Any]) -> list[dict[str, Any]]:
    """What the operator really creates until the first attempt's pods are there, with the placeholder's uid."""
    document["metadata"]["namespace"] = "team"
    cluster = FakeCluster(document)
    cluster.job["metadata"]["uid"] = PLACEHOLDER_UID
    bodies: list[dict[str, Any]] = []
    for _ in range(8):
        bodies += cluster.reconcile().create
        for pod in cluster.pods("Pending", role="prepare"):
            cluster.run(pod)
            cluster.end(pod, Outcome.SUCCEEDED)
    return bodies


@pytest.mark.parametrize(
    "document",
    [job(), inline_job(), job(output=CLAIM, code=CODE), job(nodes=4, dataset={"source": {"uri": "hf://a/b"}})],
    ids=["pod", "inline", "claim and code", "fetched"],
)
def test_what_is_rendered_is_what_the_operator_creates(document: dict[str, Any]) -> None:
    expected = created(document)
    assert render_children(document, Settings()) == expected
    assert {body["kind"] for body in expected} >= {"ConfigMap", "Service", "NetworkPolicy", "Pod"}


def test_objects_come_in_the_order_of_their_creation() -> None:
    names = [f"{body['kind']}/{body['metadata']['name']}" for body in render_children(job(output=CLAIM), Settings())]
    assert names == [
        *("ConfigMap/arc-easy-config", "Service/arc-easy", "NetworkPolicy/arc-easy"),
        *("PersistentVolumeClaim/arc-easy-output", "Pod/arc-easy-prepare", "Pod/arc-easy-0-0", "Pod/arc-easy-0-1"),
    ]


def test_a_suspended_job_is_rendered_as_it_will_be_and_the_document_stays_as_it_is() -> None:
    document = inline_job(runPolicy={"suspend": True})
    assert len(render_children(document, Settings())) == 5
    assert document["spec"]["runPolicy"] == {"suspend": True}


def test_a_job_of_another_controller_has_no_objects() -> None:
    assert render_children(job(managedBy="kueue.x-k8s.io/multikueue"), Settings()) == []


def test_a_job_that_would_fail_is_refused_with_the_sentence_of_its_condition() -> None:
    with pytest.raises(ConfigInvalid, match=r"spec\.config\.max_duratoin"):
        render_children(manifest(local_training(max_duratoin="1ep")), Settings())
    with pytest.raises(ConfigInvalid, match=r"policy forbids spec\.scheduling\.priorityClassName"):
        render_children(job(scheduling={"priorityClassName": "high"}), Settings())
    with pytest.raises(ConfigInvalid, match=r"spec\.nodez"):
        render_children(job(nodez=1), Settings())
