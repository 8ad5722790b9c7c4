"""`spec.nodes` of an elastic job changes while it runs: it saves, leaves, and goes on with the new number."""

import pytest

from finetune_api.outcomes import Outcome
from finetune_api.reasons import State
from finetune_api.status import ProgressStatus
from support.fake_cluster import FakeCluster
from support.operator_jobs import inline_job, running


def elastic(nodes: int = 2) -> FakeCluster:
    """A running elastic job."""
    return running(FakeCluster(inline_job(nodes=nodes, elastic={"minNodes": 1, "maxNodes": 5})))


def want(cluster: FakeCluster, nodes: int) -> None:
    """Somebody edits `spec.nodes`."""
    cluster.job["spec"]["nodes"] = nodes
    cluster.job["metadata"]["generation"] += 1


def drained(cluster: FakeCluster, step: int) -> None:
    """All pods save after this step and go."""
    for pod in cluster.pods("Running"):
        cluster.end(pod, Outcome.PREEMPTED, progress={"step": step, "lastCheckpointStep": step})
    cluster.kubelet()


@pytest.mark.parametrize("nodes", [4, 1])
def test_the_attempt_saves_and_the_next_one_has_the_new_number(nodes: int) -> None:
    cluster = elastic()
    cluster.progress = ProgressStatus(step=43, last_checkpoint_step=40)
    cluster.settle()
    cluster.progress = None
    want(cluster, nodes)
    first, second = cluster.reconcile(), cluster.reconcile()
    assert (first.delete, [one.grace for one in second.delete]) == ((), [None, None])
    assert (cluster.status.attempts[0].reason, cluster.status.state) == ("Resizing", State.RESTARTING)
    drained(cluster, 44)
    running(cluster)
    before, newest = cluster.status.attempts
    assert (before.outcome, before.reason, before.checkpoint_step) == ("Cancelled", "Resized", 44)
    assert (newest.nodes, newest.wanted_nodes, newest.first_step) == (nodes, nodes, 44)
    assert (cluster.status.restarts, cluster.status.failure, len(cluster.pods("Running"))) == (0, None, nodes)


def test_a_number_that_comes_to_the_same_restarts_nothing() -> None:
    cluster = elastic(nodes=4)
    want(cluster, 5)
    cluster.settle()
    assert (len(cluster.status.attempts), cluster.status.state) == (1, State.RUNNING)


def test_a_job_that_is_not_elastic_is_never_resized() -> None:
    cluster = running(FakeCluster(inline_job()))
    want(cluster, 4)
    cluster.settle()
    assert len(cluster.status.attempts) == 1


def test_a_change_of_mind_meanwhile_leads_to_the_number_that_stands_at_the_end() -> None:
    cluster = elastic()
    want(cluster, 4)
    cluster.settle()
    want(cluster, 1)
    cluster.settle()
    drained(cluster, 3)
    cluster.settle()
    assert [one.nodes for one in cluster.status.attempts] == [2, 1]


def test_a_run_that_ended_first_is_complete_all_the_same() -> None:
    cluster = elastic()
    want(cluster, 4)
    for pod in cluster.pods():
        cluster.end(pod, Outcome.SUCCEEDED)
    cluster.settle()
    assert cluster.status.state == State.COMPLETE


def test_an_attempt_that_still_starts_is_replaced_too() -> None:
    cluster = FakeCluster(inline_job(nodes=4, elastic={"minNodes": 1, "maxNodes": 4}))
    cluster.settle()
    want(cluster, 1)
    cluster.settle()
    cluster.kubelet()
    cluster.settle()
    assert cluster.names() == ["arc-easy-1-0"]


def test_a_pod_on_a_lost_node_is_not_waited_for() -> None:
    cluster = elastic()
    want(cluster, 1)
    cluster.settle()
    del cluster.nodes["node-1"]
    cluster.kubelet()
    cluster.settle()
    assert cluster.status.attempts[0].reason == "Resized"


def test_a_suspension_during_the_change_is_a_suspension() -> None:
    cluster = elastic()
    want(cluster, 4)
    cluster.settle()
    cluster.edit(suspend=True)
    cluster.settle()
    drained(cluster, 3)
    cluster.settle()
    assert cluster.status.state == State.SUSPENDED
    cluster.edit(suspend=False)
    cluster.settle()
    assert [(one.nodes, one.outcome) for one in cluster.status.attempts] == [(2, "Suspended"), (4, None)]


def test_a_crash_before_the_pods_were_asked_to_leave_is_a_crash() -> None:
    cluster = elastic()
    want(cluster, 4)
    cluster.reconcile()
    for pod in cluster.pods("Running"):
        cluster.end(pod, Outcome.CRASHED, traceback="KeyError")
    cluster.settle()
    before, newest = cluster.status.attempts
    assert (before.outcome, cluster.status.restarts, newest.nodes) == ("Failure", 1, 4)


def test_an_attempt_of_an_older_operator_is_resized_when_the_number_changes_later() -> None:
    cluster = elastic()
    cluster.job["status"]["attempts"][0].pop("wantedNodes")
    cluster.settle()
    assert cluster.status.attempts[0].wanted_nodes == 2
    want(cluster, 4)
    cluster.reconcile()
    assert cluster.status.attempts[0].reason == "Resizing"


def test_a_number_that_is_changed_to_what_runs_and_back_lets_a_small_attempt_grow() -> None:
    cluster = FakeCluster(inline_job(nodes=4, elastic={"minNodes": 1, "maxNodes": 4}))
    cluster.settle()
    for pod in cluster.pods()[2:]:
        cluster.hold_up(pod)
    for pod in cluster.pods()[:2]:
        cluster.run(pod)
    cluster.settle()
    cluster.wait(60)
    cluster.settle()
    cluster.kubelet()
    running(cluster)
    want(cluster, 2)
    cluster.settle()
    small = cluster.status.attempts[-1]
    assert (small.nodes, small.wanted_nodes, cluster.status.state) == (2, 2, State.RUNNING)
    want(cluster, 4)
    cluster.settle()
    assert cluster.status.attempts[-1].reason == "Resizing"
    drained(cluster, 3)
    cluster.settle()
    assert [one.nodes for one in cluster.status.attempts] == [4, 2, 4]
