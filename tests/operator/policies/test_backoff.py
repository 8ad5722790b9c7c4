"""The wait between attempts."""

import pytest

from finetune_api.outcomes import Outcome
from finetune_operator.policies.backoff import backoff
from finetune_operator.settings import Settings, TimingSettings
from support.fake_cluster import FakeCluster
from support.operator_jobs import failed_over, inline_job, running
from support.workspace import condition

BOUND = TimingSettings(backoff_most=2000)


def test_the_first_recovery_is_immediate_and_the_wait_doubles_to_a_bound() -> None:
    timing = TimingSettings(backoff_base=2, backoff_most=10)
    assert [backoff(count, timing) for count in range(7)] == [0, 0, 2, 4, 8, 10, 10]
    assert backoff(10**6, timing) == 10


def waits(cluster: FakeCluster, attempts: int, forgets: str = "") -> list[float]:
    """How long each of so many further attempts waits, with a CRD that drops one field."""
    found = []
    for _ in range(attempts):
        failed_over(cluster)
        cluster.settle()
        cluster.job["status"].pop(forgets, None)
        found.append(cluster.plan().requeue_after or 0)
        cluster.wait(found[-1])
    return found


def test_the_wait_doubles_beyond_the_attempts_that_are_listed() -> None:
    cluster = FakeCluster(inline_job(runPolicy={"maxRestarts": 20}), settings=Settings(timing=BOUND))
    assert waits(cluster, 13) == [0, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2000, 2000]


def test_with_a_crd_that_drops_the_count_those_that_are_listed_count() -> None:
    cluster = FakeCluster(inline_job(runPolicy={"maxRestarts": 20}), settings=Settings(timing=BOUND))
    assert waits(cluster, 12, forgets="earlierFruitless")[-3:] == [256, 256, 256]


def unready(cluster: FakeCluster) -> float:
    """Every node of the newest attempt misses the name servers; return the wait until the next attempt."""
    running(cluster)
    for rank, pod in enumerate(cluster.pods("Running")):
        cluster.end(pod, Outcome.RETRYABLE, facts={"suspects": [rank]}, reason="PreflightFailed")
    cluster.settle()
    return 0 if cluster.status.completion_time else cluster.plan().requeue_after or 0


def test_a_cluster_without_name_servers_has_minutes_to_get_them_back() -> None:
    cluster = FakeCluster(inline_job(nodes=2, runPolicy={"maxRestarts": 0}))
    pauses = []
    while cluster.status.completion_time is None:
        pauses.append(unready(cluster))
        cluster.wait(pauses[-1])
    assert pauses == [16, 32, 64, 128, 0]
    assert [(one.outcome, one.reason) for one in cluster.status.attempts] == [("Disruption", "ClusterUnready")] * 5
    assert cluster.status.restarts == 0
    assert [one.avoided_nodes for one in cluster.status.attempts] == [None] * 5
    assert condition(cluster.status, "Failed")[1] == "NoProgress"


def test_once_the_name_servers_are_back_nothing_is_waited_for_any_longer() -> None:
    cluster = FakeCluster(inline_job(nodes=2))
    cluster.wait(unready(cluster))
    failed_over(cluster)
    cluster.settle()
    assert cluster.plan().requeue_after == 2


@pytest.mark.parametrize(("later", "reason"), [(9, "ClusterUnready"), (14, "PreflightFailed")])
def test_nodes_that_begin_later_find_as_much_later_that_there_are_no_name_servers(later: int, reason: str) -> None:
    cluster = FakeCluster(inline_job(nodes=2))
    cluster.settle()
    first, second = cluster.pods("Pending")
    cluster.run(first)
    cluster.wait(9)
    cluster.run(second)
    cluster.wait(6)
    for rank, pod in enumerate((first, second)):
        cluster.end(pod, Outcome.RETRYABLE, facts={"suspects": [rank]}, reason="PreflightFailed")
        cluster.settle()
        cluster.wait(later)
        cluster.settle()
    assert cluster.status.attempts[0].reason == reason
    assert cluster.status.failure is not None
    assert cluster.status.failure.node == ("node-0" if reason == "PreflightFailed" else None)
