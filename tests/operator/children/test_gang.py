"""What each gang scheduler reads on the pods of an attempt."""

from typing import Any

import pytest

from finetune_operator.children.gang import gang_of
from finetune_operator.children.prepare_pod import build_prepare_pod
from finetune_operator.children.training_pods import build_training_pods
from support.blueprints import blueprint
from support.fake_cluster import FakeCluster
from support.operator_jobs import failed_over, inline_job

JOB = {"finetune.dev/job-uid": "job-uid"}


def pods(scheduling: dict[str, Any], attempt: int = 0) -> list[dict[str, Any]]:
    """The pods of an attempt of two nodes."""
    return build_training_pods(blueprint(nodes=2, scheduling=scheduling), attempt, 2)


def test_without_a_gang_nothing_is_asked_of_a_scheduler() -> None:
    (pod, _) = pods({})
    assert "schedulerName" not in pod["spec"]
    assert not any("kueue" in key or "scheduling" in key for key in pod["metadata"]["labels"])


def test_kueue_admits_the_pods_of_an_attempt_as_one_group() -> None:
    for pod in pods({"gang": "Kueue", "queueName": "gpu"}, attempt=3):
        labels, annotations = pod["metadata"]["labels"], pod["metadata"]["annotations"]
        assert labels["kueue.x-k8s.io/queue-name"] == "gpu"
        assert labels["kueue.x-k8s.io/pod-group-name"] == "arc-easy-3"
        assert annotations["kueue.x-k8s.io/pod-group-total-count"] == "2"
        assert annotations["kueue.x-k8s.io/retriable-in-group"] == "false"
        assert "schedulerName" not in pod["spec"]


def test_the_pod_that_prepares_waits_in_the_queue_alone() -> None:
    labels = build_prepare_pod(blueprint(scheduling={"gang": "Kueue", "queueName": "gpu"}))["metadata"]["labels"]
    assert labels["kueue.x-k8s.io/queue-name"] == "gpu"
    assert "kueue.x-k8s.io/pod-group-name" not in labels


def test_volcano_gets_a_group_in_its_queue() -> None:
    scheduling = {"gang": "Volcano", "queueName": "gpu", "priorityClassName": "high"}
    group = gang_of(blueprint(scheduling=scheduling), 1, 2).group
    assert group is not None
    assert (group["apiVersion"], group["kind"]) == ("scheduling.volcano.sh/v1beta1", "PodGroup")
    assert group["spec"] == {"minMember": 2, "queue": "gpu", "priorityClassName": "high"}
    assert group["metadata"]["name"] == "arc-easy-1"
    assert group["metadata"]["ownerReferences"][0]["uid"] == "job-uid"
    (pod, _) = pods(scheduling, attempt=1)
    assert pod["metadata"]["annotations"]["scheduling.k8s.io/group-name"] == "arc-easy-1"
    assert pod["spec"]["schedulerName"] == "volcano"


def test_coscheduling_gets_a_group_and_a_label() -> None:
    scheduling = {"gang": "Coscheduling", "schedulerName": "mine"}
    group = gang_of(blueprint(scheduling=scheduling), 0, 2).group
    assert group is not None
    assert (group["apiVersion"], group["spec"]) == ("scheduling.x-k8s.io/v1alpha1", {"minMember": 2})
    (pod, _) = pods(scheduling)
    assert pod["metadata"]["labels"]["scheduling.x-k8s.io/pod-group"] == "arc-easy-0"
    assert pod["spec"]["schedulerName"] == "mine"


@pytest.mark.parametrize("gang", ["Volcano", "Coscheduling"])
def test_every_attempt_has_a_group_that_comes_before_its_pods(gang: str) -> None:
    cluster = FakeCluster(inline_job(scheduling={"gang": gang}))
    kinds = [body["kind"] for body in cluster.reconcile().create]
    assert kinds[-3:] == ["PodGroup", "Pod", "Pod"]
    failed_over(cluster)
    cluster.settle()
    assert sorted(name for kind, name in cluster.objects if kind == "PodGroup") == ["arc-easy-0", "arc-easy-1"]


def test_pods_of_an_attempt_are_kept_within_one_value_of_the_topology_key() -> None:
    affinity = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "zone"}]}}
    (pod, _) = pods({"topologyKey": "rack", "affinity": affinity}, attempt=2)
    zone, rack = pod["spec"]["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert zone == {"topologyKey": "zone"}
    assert rack == {"labelSelector": {"matchLabels": {**JOB, "finetune.dev/attempt": "2"}}, "topologyKey": "rack"}
