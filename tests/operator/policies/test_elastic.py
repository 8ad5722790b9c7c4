"""The number of nodes may change between attempts, within `elastic`."""

import pytest

from finetune_api.outcomes import Outcome
from finetune_api.reasons import State
from finetune_operator.settings import Settings, TimingSettings
from support.fake_cluster import FakeCluster, written
from support.operator_jobs import failed_over, inline_job, running

ELASTIC = {"minNodes": 1, "maxNodes": 4}


@pytest.mark.parametrize(("wanted", "nodes"), [(4, 4), (1, 1), (3, 2)])
def test_the_next_attempt_has_as_many_nodes_as_can_share_the_batch(wanted: int, nodes: int) -> None:
    cluster = running(FakeCluster(inline_job(elastic={"minNodes": 1, "maxNodes": 4})))
    cluster.job["spec"]["nodes"] = wanted
    cluster.settle()
    assert len(cluster.pods()) == 2
    failed_over(cluster)
    running(cluster)
    assert cluster.status.attempts[-1].nodes == nodes
    assert [name for name in cluster.names() if name.startswith("arc-easy-1-")] == [
        f"arc-easy-1-{rank}" for rank in range(nodes)
    ]
    assert cluster.status.state == State.RUNNING


def test_when_no_number_fits_the_last_one_stays() -> None:
    cluster = running(FakeCluster(inline_job(elastic={"minNodes": 2, "maxNodes": 3})))
    cluster.job["spec"]["elastic"] = {"minNodes": 3, "maxNodes": 3}
    cluster.job["spec"]["nodes"] = 3
    failed_over(cluster)
    running(cluster)
    assert cluster.status.attempts[-1].nodes == 2


def test_a_number_that_is_changed_before_the_first_attempt_fits_as_well() -> None:
    cluster = FakeCluster(inline_job(elastic={"minNodes": 1, "maxNodes": 4}, runPolicy={"suspend": True}))
    cluster.settle()
    cluster.job["spec"]["nodes"] = 3
    cluster.edit(suspend=False)
    cluster.settle()
    assert cluster.status.attempts[-1].nodes == 2


PATIENT = Settings(timing=TimingSettings(placement_deadline=3600))


def scheduled(cluster: FakeCluster, placed: int) -> FakeCluster:
    """The same cluster once so many pods of the newest attempt have got a node, the others none."""
    cluster.settle()
    for rank, pod in enumerate(cluster.pods("Pending")):
        if rank < placed:
            cluster.run(pod)
            said = {"type": "PodScheduled", "status": "True", "lastTransitionTime": written(cluster.now)}
            pod["status"]["conditions"].append(said)
        else:
            cluster.hold_up(pod)
    cluster.settle()
    return cluster


def given_up(cluster: FakeCluster) -> FakeCluster:
    """The same cluster once those that run have given up on the others, which are replaced together with them."""
    for pod in cluster.pods("Running"):
        conditions = pod["status"]["conditions"]
        cluster.end(pod, Outcome.RETRYABLE)
        pod["status"]["conditions"] = conditions
    cluster.reconcile()
    cluster.wait(60)
    cluster.settle()
    cluster.kubelet()
    cluster.settle()
    cluster.wait(cluster.plan().requeue_after or 0)
    return cluster


def test_a_search_for_nodes_goes_on_when_peers_gave_up_meanwhile() -> None:
    cluster = scheduled(FakeCluster(inline_job(nodes=4, elastic=ELASTIC), settings=PATIENT), placed=2)
    for _ in range(2):
        cluster.wait(1740)
        scheduled(given_up(cluster), placed=2)
    assert [one.nodes for one in cluster.status.attempts] == [4, 4, 4]
    assert cluster.plan().requeue_after == 60, "its pods have a minute to find their nodes again"
    cluster.wait(60)
    cluster.settle()
    assert [(one.nodes, one.reason) for one in cluster.status.attempts[2:]] == [(4, "Unplaceable"), (2, None)]


def test_a_node_that_comes_late_lets_a_search_begin_anew() -> None:
    cluster = scheduled(FakeCluster(inline_job(nodes=4, elastic=ELASTIC), settings=PATIENT), placed=1)
    cluster.wait(1740)
    scheduled(given_up(cluster), placed=1)
    cluster.wait(1000)
    late = cluster.now
    cluster.run(cluster.pods("Pending")[0])
    pod = cluster.pods("Running")[1]
    said = {"type": "PodScheduled", "status": "True", "lastTransitionTime": written(late)}
    pod["status"]["conditions"].append(said)
    cluster.settle()
    assert cluster.plan().requeue_after == 3600
    cluster.wait(1000)
    scheduled(given_up(cluster), placed=2)
    assert cluster.status.attempts[-1].placing_time == late


def test_a_clock_that_was_ahead_does_not_lengthen_a_search() -> None:
    cluster = FakeCluster(inline_job(nodes=4, elastic=ELASTIC))
    cluster.wait(3600)
    scheduled(cluster, placed=0)
    cluster.wait(-3600)
    scheduled(cluster, placed=2)
    cluster.wait(60)
    cluster.settle()
    assert [one.nodes for one in cluster.status.attempts] == [4, 2]
