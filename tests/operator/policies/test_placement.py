"""An attempt whose pods do not all find a node is replaced by one that can be placed."""

from finetune_api.outcomes import Outcome
from finetune_api.reasons import State
from support.fake_cluster import FakeCluster
from support.operator_jobs import failed_over, inline_job, running

ELASTIC = {"minNodes": 1, "maxNodes": 4}


def held_up(cluster: FakeCluster, placed: int) -> FakeCluster:
    """The same cluster once so many pods of the newest attempt run and no node fits the others."""
    cluster.settle()
    pods = cluster.pods("Pending")
    for pod in pods[:placed]:
        cluster.run(pod)
    for pod in pods[placed:]:
        cluster.hold_up(pod, "0/3 nodes are available.")
    cluster.settle()
    return cluster


def shape(cluster: FakeCluster) -> list[tuple[int, str | None]]:
    """Nodes and reason of each attempt."""
    return [(one.nodes, one.reason) for one in cluster.status.attempts]


def test_an_elastic_job_goes_on_with_the_nodes_that_there_are() -> None:
    cluster = held_up(FakeCluster(inline_job(nodes=4, elastic=ELASTIC)), placed=3)
    assert cluster.plan().requeue_after == 60
    cluster.wait(60)
    recorded = cluster.reconcile()
    assert (recorded.create, recorded.delete) == ((), ())
    assert shape(cluster) == [(4, "Unplaceable"), (2, None)], "three nodes cannot share the batch"
    assert cluster.status.attempts[0].message == (
        "Pod arc-easy-0-3 found no node within 60 s (0/3 nodes are available); "
        "the next attempt goes on with 2 of 4 nodes."
    )
    assert {one.grace for one in cluster.plan().delete} == {5}, "nothing was trained that could be saved"
    cluster.settle()
    assert not [name for name in cluster.names() if name.startswith("arc-easy-1")], "attempts do not overlap"
    cluster.kubelet()
    running(cluster)
    assert cluster.names() == ["arc-easy-1-0", "arc-easy-1-1"]
    assert (cluster.status.state, cluster.status.restarts, cluster.status.failure) == (State.RUNNING, 0, None)


def test_a_smaller_attempt_is_left_alone_and_the_next_one_is_as_large_as_wanted() -> None:
    cluster = held_up(FakeCluster(inline_job(nodes=4, elastic=ELASTIC)), placed=2)
    cluster.wait(60)
    cluster.settle()
    cluster.kubelet()
    running(cluster)
    cluster.wait(4000)
    assert not cluster.reconcile().acts
    failed_over(cluster)
    cluster.wait(10)
    cluster.settle()
    assert shape(cluster) == [(4, "Unplaceable"), (2, "Crashed"), (4, None)]


def test_pods_that_still_get_nodes_put_the_decision_off() -> None:
    cluster = held_up(FakeCluster(inline_job(nodes=4, elastic=ELASTIC)), placed=1)
    cluster.wait(50)
    pod = cluster.pods("Pending")[0]
    cluster.run(pod)
    placed = {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T00:00:50Z"}
    pod["status"]["conditions"].append(placed)
    cluster.settle()
    assert cluster.plan().requeue_after == 60


def test_with_too_few_nodes_or_without_elastic_a_job_waits() -> None:
    for spec in ({"elastic": {"minNodes": 2, "maxNodes": 4}}, {}):
        cluster = held_up(FakeCluster(inline_job(nodes=4, **spec)), placed=1)
        cluster.wait(4000)
        cluster.settle()
        assert (shape(cluster), cluster.status.state) == ([(4, None)], State.PENDING)


def test_a_gang_that_is_placed_whole_or_not_at_all_is_made_smaller_step_by_step() -> None:
    cluster = FakeCluster(inline_job(nodes=4, elastic=ELASTIC, scheduling={"gang": "Volcano"}))
    for _ in range(4):
        held_up(cluster, placed=0)
        cluster.wait(60)
        cluster.settle()
        cluster.kubelet()
    assert shape(cluster) == [(4, "Unplaceable"), (2, "Unplaceable"), (1, None)]
    group = cluster.objects["PodGroup", "arc-easy-1"]
    assert group["spec"]["minMember"] == 2


def test_a_pod_in_a_queue_is_no_pod_without_a_node() -> None:
    cluster = held_up(FakeCluster(inline_job(nodes=4, elastic=ELASTIC)), placed=2)
    for pod in cluster.pods("Pending"):
        pod["status"]["conditions"][0]["reason"] = "SchedulingGated"
    cluster.wait(4000)
    cluster.settle()
    assert shape(cluster) == [(4, None)]


def accused(cluster: FakeCluster) -> FakeCluster:
    """The same cluster after a preflight has named the node of rank 1."""
    running(cluster)
    for pod in cluster.pods("Running"):
        cluster.end(pod, Outcome.RETRYABLE, facts={"suspects": [1]}, reason="PreflightFailed")
    cluster.settle()
    return cluster


def test_no_job_is_stuck_by_what_it_avoids() -> None:
    cluster = held_up(accused(FakeCluster(inline_job())), placed=1)
    cluster.wait(60)
    cluster.settle()
    assert [one.avoided_nodes for one in cluster.status.attempts] == [None, ("node-1",), None]
    assert cluster.status.attempts[-1].nodes == 2


def test_an_elastic_job_gets_smaller_rather_than_use_a_bad_node() -> None:
    cluster = held_up(accused(FakeCluster(inline_job(elastic={"minNodes": 1, "maxNodes": 2}))), placed=1)
    cluster.wait(60)
    cluster.settle()
    assert [(one.nodes, one.avoided_nodes) for one in cluster.status.attempts[1:]] == [
        (2, ("node-1",)),
        (1, ("node-1",)),
    ]


def test_attempts_without_room_count_for_nothing_but_the_deadline() -> None:
    policy = {"maxRestarts": 0, "pendingDeadlineSeconds": 100}
    cluster = held_up(FakeCluster(inline_job(nodes=4, elastic=ELASTIC, runPolicy=policy)), placed=2)
    cluster.wait(60)
    cluster.settle()
    cluster.kubelet()
    held_up(cluster, placed=1)
    assert cluster.plan().requeue_after == 40
    cluster.wait(40)
    cluster.settle()
    assert cluster.status.failure is not None
    assert (cluster.status.failure.reason, cluster.status.restarts) == ("DeadlineExceeded", 0)


def test_the_time_in_a_queue_or_without_room_in_the_quota_does_not_count() -> None:
    cluster = FakeCluster(inline_job(nodes=4, elastic=ELASTIC))
    cluster.settle()
    for pod in cluster.pods("Pending"):
        cluster.hold_up(pod)
        pod["status"]["conditions"][0]["reason"] = "SchedulingGated"
    cluster.settle()
    cluster.wait(4000)
    held_up(cluster, placed=2)
    assert (shape(cluster), cluster.plan().requeue_after) == ([(4, None)], 60)
    cluster.wait(60)
    cluster.settle()
    assert shape(cluster) == [(4, "Unplaceable"), (2, None)]


def test_with_a_crd_that_forgets_what_it_does_not_know_the_age_of_the_pods_counts() -> None:
    cluster = held_up(FakeCluster(inline_job(nodes=4, elastic=ELASTIC)), placed=2)
    for name in ("placingTime", "graceSeconds"):
        cluster.job["status"]["attempts"][0].pop(name)
    cluster.wait(60)
    cluster.reconcile()
    assert shape(cluster)[0] == (4, "Unplaceable")
