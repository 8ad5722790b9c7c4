"""A wait goes on over the attempts that were replaced because their pods never all ran."""

from finetune_api.outcomes import Outcome
from finetune_api.reasons import State
from support.fake_cluster import BEGIN, FakeCluster
from support.operator_jobs import failed_over, inline_job, state


def gave_up(cluster: FakeCluster, after: float) -> None:
    """Rank 0 gets a node and gives up after a while; rank 1 finds none."""
    cluster.settle()
    for pod in cluster.pods("Pending"):
        cluster.run(pod) if pod["metadata"]["name"].endswith("-0") else cluster.hold_up(pod)
    cluster.settle()
    cluster.wait(after)
    for pod in cluster.pods("Running"):
        cluster.end(pod, Outcome.RETRYABLE)
    for _ in range(2):
        cluster.settle()
        cluster.wait(3)
    cluster.kubelet()
    cluster.settle()
    cluster.wait(min(300, cluster.plan().requeue_after or 0))


def waiting(limit: int) -> FakeCluster:
    """A job on two nodes that may wait so long."""
    return FakeCluster(inline_job(runPolicy={"pendingDeadlineSeconds": limit}))


def test_a_deadline_of_hours_comes_however_often_peers_gave_up_meanwhile() -> None:
    cluster = waiting(36000)
    while state(cluster) != State.FAILED and len(cluster.made) < 100:
        gave_up(cluster, after=1800)
    assert cluster.status.attempts[-1].number > 12
    assert 36000 <= (cluster.now - BEGIN).total_seconds() < 36000 + 2200


def test_with_a_crd_that_forgets_since_when_attempts_wait_those_that_are_listed_count() -> None:
    cluster = waiting(3600)
    while state(cluster) != State.FAILED and len(cluster.made) < 100:
        gave_up(cluster, after=600)
        for one in cluster.job["status"]["attempts"]:
            one.pop("waitingSince", None)
    assert cluster.status.attempts[0].number == 0
    assert 3600 <= (cluster.now - BEGIN).total_seconds() < 3600 + 700


def test_once_pods_ran_a_wait_begins_anew() -> None:
    cluster = waiting(2000)
    gave_up(cluster, after=600)
    gave_up(cluster, after=300)
    assert cluster.status.attempts[-1].waiting_since == BEGIN
    failed_over(cluster)
    cluster.wait(1900)
    cluster.settle()
    assert state(cluster) == State.STARTING
    assert cluster.status.attempts[-1].waiting_since is None
