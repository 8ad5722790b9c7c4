"""What pods wait for is told, and forgotten once it is there."""

from typing import Any

import pytest

from finetune_api.reasons import ConditionType, State
from finetune_api.status import ProgressStatus, condition_of
from finetune_operator.observed import Missing
from support.fake_cluster import FakeCluster
from support.operator_jobs import inline_job, job, running, state

GONE = Missing("ConfigMap", "arc-easy-data", 'configmaps "arc-easy-data" not found')
CODE = {"configMap": {"name": "code"}}


def said(cluster: FakeCluster, kind: ConditionType = ConditionType.RUNNING) -> tuple[str, str]:
    """Reason and sentence of a condition."""
    found = condition_of(cluster.status.conditions, kind)
    assert found is not None
    return found.reason, found.message


def mounting(cluster: FakeCluster) -> FakeCluster:
    """The same cluster once all pods have nodes and wait for their volumes."""
    cluster.settle()
    for pod in cluster.pods("Pending"):
        pod["spec"]["nodeName"] = "node-0"
    return cluster


@pytest.mark.parametrize(
    ("document", "kind", "after"),
    [(inline_job(), ConditionType.RUNNING, State.RUNNING), (job(), ConditionType.DATASET_PREPARED, State.PREPARING)],
    ids=["training", "preparing"],
)
def test_a_missing_object_is_told_until_it_is_there(
    document: dict[str, Any], kind: ConditionType, after: State
) -> None:
    cluster = mounting(FakeCluster(document))
    assert cluster.reconcile().requeue_after == 10
    cluster.missing = (GONE,)
    cluster.settle()
    reason, message = said(cluster, kind)
    assert (reason, state(cluster)) == ("ObjectMissing", State.PENDING)
    assert 'waits for an object it refers to: configmaps "arc-easy-data" not found' in message
    cluster.missing = ()
    assert state(running(cluster)) == after
    assert cluster.events.count("ObjectMissing") == 1


def test_a_pod_that_has_its_volumes_does_not_wait_for_objects() -> None:
    cluster = mounting(FakeCluster(inline_job()))
    for pod in cluster.pods():
        pod["status"]["conditions"] = [{"type": "PodReadyToStartContainers", "status": "True"}]
    cluster.missing = (GONE,)
    cluster.settle()
    assert said(cluster)[0] == "Starting"


def test_volumes_that_take_long_are_told_though_nobody_says_why() -> None:
    cluster = mounting(FakeCluster(inline_job()))
    for pod in cluster.pods():
        placed = {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T00:05:00Z"}
        pod["status"]["conditions"] = [placed]
    cluster.wait(330)
    cluster.settle()
    assert said(cluster)[0] == "Starting"
    cluster.wait(30)
    cluster.settle()
    assert said(cluster)[0] == "PodsPending"


def test_a_deadline_names_the_missing_object() -> None:
    cluster = mounting(FakeCluster(inline_job(runPolicy={"pendingDeadlineSeconds": 60})))
    cluster.missing = (GONE,)
    cluster.wait(61)
    cluster.settle()
    assert cluster.status.failure is not None
    assert 'configmaps "arc-easy-data" not found' in cluster.status.failure.message


def test_a_pod_in_a_queue_is_told_apart_from_one_without_room() -> None:
    cluster = FakeCluster(inline_job())
    cluster.settle()
    gated = {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated", "message": "blocked by gates"}
    cluster.pods()[0]["status"]["conditions"] = [gated]
    cluster.settle()
    assert said(cluster) == ("Queued", "Pod arc-easy-0-0 waits in its queue: blocked by gates")


def test_code_that_goes_missing_between_attempts_is_waited_for() -> None:
    cluster = running(FakeCluster(inline_job(code=CODE)))
    code, cluster.code = cluster.code, None
    cluster.exit(cluster.pod("arc-easy-0-0"), 1)
    cluster.settle()
    cluster.kubelet()
    cluster.settle()
    assert said(cluster)[0] == "ObjectMissing"
    cluster.code = code
    assert state(running(cluster)) == State.RUNNING


def test_silence_is_told_and_forgotten_and_nothing_else_happens() -> None:
    cluster = running(FakeCluster(inline_job()))
    cluster.progress_error = "connection refused"
    decided = cluster.reconcile()
    assert (decided.create, decided.delete, state(cluster)) == ((), (), State.RUNNING)
    assert said(cluster) == (
        "ProgressUnreachable",
        "Attempt 0 runs, but pod arc-easy-0-0 does not tell its progress: connection refused",
    )
    cluster.progress_error = None
    cluster.settle()
    assert said(cluster)[0] == "ProgressUnreachable", "an operator that has yet to ask knows no better"
    cluster.progress = ProgressStatus(step=1)
    cluster.settle()
    assert said(cluster)[0] == "Training"
