"""The prepare pod: its end decides whether training starts."""

from finetune_api.outcomes import Outcome
from finetune_api.reasons import ConditionType, State
from finetune_api.status import condition_of
from support.fake_cluster import FakeCluster
from support.operator_jobs import job, running

PREPARE = "arc-easy-prepare"


def reason(cluster: FakeCluster) -> str | None:
    """Why the dataset is prepared, or is not."""
    found = condition_of(cluster.status.conditions, ConditionType.DATASET_PREPARED)
    return found.reason if found else None


def test_a_broken_row_fails_the_job_before_any_training_pod() -> None:
    cluster = running(FakeCluster(job()))
    cluster.end(cluster.pod(PREPARE), Outcome.DATASET_INVALID)
    cluster.settle()
    status = cluster.status
    assert (status.state, reason(cluster), status.attempts) == (State.FAILED, "PreparationFailed", ())
    assert status.failure is not None
    assert (status.failure.reason, status.failure.message) == ("DatasetInvalid", "said DatasetInvalid")
    assert cluster.names() == [PREPARE]


def test_a_network_error_is_recorded_then_tried_again_within_the_budget() -> None:
    cluster = FakeCluster(job(runPolicy={"maxRestarts": 1}))
    running(cluster)
    cluster.end(cluster.pod(PREPARE), Outcome.RETRYABLE)
    assert cluster.reconcile().delete == ()
    assert (cluster.status.restarts, reason(cluster)) == (1, "Retrying")
    assert [one.name for one in cluster.reconcile().delete] == [PREPARE]
    cluster.kubelet()
    running(cluster)
    assert reason(cluster) == "Preparing"
    cluster.end(cluster.pod(PREPARE), Outcome.RETRYABLE)
    cluster.settle()
    assert cluster.status.failure is not None
    assert (cluster.status.state, cluster.status.failure.reason) == (State.FAILED, "Retryable")


def test_an_eviction_is_tried_again_for_free() -> None:
    cluster = running(FakeCluster(job(runPolicy={"maxRestarts": 0})))
    cluster.exit(cluster.pod(PREPARE), 143)
    cluster.pod(PREPARE)["status"]["reason"] = "Evicted"
    cluster.settle()
    cluster.kubelet()
    cluster.settle()
    assert (cluster.names(), cluster.status.restarts) == ([PREPARE], 0)


def test_prepared_data_is_not_prepared_again_when_its_pod_is_gone() -> None:
    cluster = running(FakeCluster(job()))
    cluster.end(cluster.pod(PREPARE), Outcome.SUCCEEDED)
    cluster.settle()
    cluster.remove(cluster.pod(PREPARE))
    cluster.settle()
    assert cluster.names() == ["arc-easy-0-0", "arc-easy-0-1"]
