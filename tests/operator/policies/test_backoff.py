"""The wait between attempts."""

from finetune_operator.policies.backoff import backoff
from finetune_operator.settings import Settings, TimingSettings
from support.fake_cluster import FakeCluster
from support.operator_jobs import failed_over, inline_job

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
