"""The prepare pod: its end decides whether training starts."""

import pytest

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


def test_a_leader_whose_clock_is_behind_does_not_wait_for_the_time_of_the_last_one() -> None:
    cluster = running(FakeCluster(job()))
    cluster.evict(cluster.pod(PREPARE))
    cluster.kubelet()
    cluster.reconcile()
    assert (reason(cluster), cluster.names()) == ("Retrying", [])
    cluster.wait(-3600)
    cluster.settle()
    assert cluster.names() == [PREPARE]


def test_evictions_without_end_fail_the_job() -> None:
    cluster = FakeCluster(job(runPolicy={"maxRestarts": 0}))
    for _ in range(5):
        running(cluster)
        cluster.evict(cluster.pod(PREPARE))
        cluster.kubelet()
        cluster.settle()
        cluster.wait(600)
    status = cluster.status
    assert (status.state, status.prepare_disruptions, status.restarts) == (State.FAILED, 5, 0)
    assert "taken away 5 times" in condition_message(cluster, ConditionType.FAILED)


def test_a_pod_that_somebody_deletes_is_made_again_and_counted() -> None:
    cluster = running(FakeCluster(job()))
    cluster.remove(cluster.pod(PREPARE))
    cluster.settle()
    assert (cluster.names(), cluster.status.prepare_disruptions) == ([PREPARE], 1)


def test_a_pod_that_was_given_up_and_has_done_its_work_all_the_same_is_believed() -> None:
    cluster = running(FakeCluster(job()))
    cluster.nodes["node-0"] = "NotReady"
    cluster.settle()
    cluster.nodes["node-0"] = "Ready"
    cluster.end(cluster.pod(PREPARE), Outcome.SUCCEEDED)
    cluster.kubelet()
    cluster.settle()
    assert (reason(cluster), PREPARE in cluster.names()) == ("Prepared", False)


def test_a_pod_that_finishes_while_the_job_is_suspended_has_prepared_the_data() -> None:
    cluster = running(FakeCluster(job()))
    cluster.edit(suspend=True)
    cluster.settle()
    cluster.end(cluster.pod(PREPARE), Outcome.SUCCEEDED)
    cluster.kubelet()
    cluster.settle()
    assert cluster.status.state == State.SUSPENDED
    cluster.edit(suspend=False)
    cluster.settle()
    assert reason(cluster) == "Prepared"


@pytest.mark.parametrize("suspended", [False, True])
def test_a_quota_that_refuses_the_next_pod_does_not_count_the_end_of_the_last_one_again(suspended: bool) -> None:
    cluster = running(FakeCluster(job()))
    cluster.edit(suspend=suspended)
    cluster.full = True
    if not suspended:
        cluster.evict(cluster.pod(PREPARE))
    cluster.settle()
    cluster.kubelet()
    cluster.settle()
    cluster.edit(suspend=False)
    for _ in range(8):
        cluster.wait(60)
        cluster.settle()
    assert (cluster.names(), cluster.status.prepare_disruptions) == ([], not suspended)
    cluster.full = False
    cluster.wait(60)
    cluster.settle()
    assert (cluster.names(), reason(cluster)) == ([PREPARE], "Preparing")


def test_suspending_is_no_disruption() -> None:
    cluster = running(FakeCluster(job()))
    cluster.edit(suspend=True)
    cluster.settle()
    cluster.kubelet()
    cluster.settle()
    assert (cluster.names(), cluster.status.state) == ([], State.SUSPENDED)
    cluster.edit(suspend=False)
    cluster.settle()
    assert (cluster.names(), cluster.status.prepare_disruptions) == ([PREPARE], 0)
    assert reason(cluster) == "Preparing"


def test_a_finished_run_in_the_output_completes_the_job_before_any_training_pod() -> None:
    cluster = running(FakeCluster(job()))
    cluster.end(cluster.pod(PREPARE), Outcome.SUCCEEDED, reason="AlreadyComplete", step=40)
    cluster.settle()
    assert (cluster.status.state, cluster.status.attempts, cluster.names()) == (State.COMPLETE, (), [PREPARE])
    assert "nothing is trained again" in condition_message(cluster, ConditionType.COMPLETE)
    assert cluster.events.count("AlreadyComplete") == 1


def condition_message(cluster: FakeCluster, kind: ConditionType) -> str:
    """The sentence of a condition."""
    found = condition_of(cluster.status.conditions, kind)
    assert found is not None
    return found.message


def test_a_pod_on_a_node_that_does_not_answer_is_removed_by_force_after_a_while_and_that_is_said() -> None:
    cluster = running(FakeCluster(job()))
    cluster.nodes["node-0"] = "NotReady"
    cluster.settle()
    assert condition_message(cluster, ConditionType.DATASET_PREPARED) == (
        "Preparing the dataset is tried again: node node-0 does not answer, and pod arc-easy-prepare "
        "is removed by force when it has not for 30 s more."
    )
    first = cluster.pod(PREPARE)["metadata"]["uid"]
    assert cluster.plan().requeue_after == 30
    cluster.wait(29)
    assert cluster.reconcile().delete == ()
    cluster.wait(1)
    assert [(one.uid, one.grace) for one in cluster.reconcile().delete] == [(first, 0)]
    cluster.wait(60)
    cluster.settle()
    assert cluster.pod(PREPARE)["metadata"]["uid"] != first
    assert (reason(cluster), cluster.status.prepare_disruptions, cluster.status.restarts) == ("Preparing", 1, 0)


def test_a_node_that_answers_confirms_the_end_of_its_pod_itself() -> None:
    cluster = running(FakeCluster(job()))
    cluster.nodes["node-0"] = "NotReady"
    cluster.settle()
    cluster.nodes["node-0"] = "Ready"
    cluster.wait(600)
    assert cluster.reconcile().delete == ()
    cluster.kubelet()
    cluster.wait(60)
    cluster.settle()
    assert (reason(cluster), cluster.names()) == ("Preparing", [PREPARE])


def test_a_pod_on_a_node_that_is_gone_for_good_is_replaced() -> None:
    cluster = running(FakeCluster(job()))
    cluster.nodes["node-0"] = "NotReady"
    cluster.settle()
    del cluster.nodes["node-0"]
    cluster.settle()
    assert "deletionTimestamp" not in cluster.pod(PREPARE)["metadata"]
    assert reason(cluster) == "Preparing"
