"""Deadlines: of running, which counts all attempts, and of waiting."""

from finetune_api.reasons import AttemptOutcome, State
from support.fake_cluster import FakeCluster
from support.operator_jobs import failed_over, inline_job, job, running, state


def test_the_running_time_of_all_attempts_counts() -> None:
    cluster = running(FakeCluster(inline_job(runPolicy={"activeDeadlineSeconds": 100})))
    cluster.wait(60)
    failed_over(cluster)
    running(cluster)
    assert cluster.plan().requeue_after == 40
    cluster.wait(39)
    cluster.settle()
    assert state(cluster) == State.RUNNING
    cluster.wait(1)
    cluster.settle()
    assert state(cluster) == State.FAILED
    assert cluster.status.failure is not None
    assert cluster.status.failure.reason == "DeadlineExceeded"
    assert cluster.status.attempts[-1].outcome == AttemptOutcome.CANCELLED


def test_ranks_may_save_when_the_deadline_comes() -> None:
    cluster = running(FakeCluster(inline_job(runPolicy={"activeDeadlineSeconds": 10})))
    cluster.wait(10)
    assert cluster.reconcile().delete == ()
    assert [one.grace for one in cluster.reconcile().delete] == [None, None]


def test_time_in_a_queue_is_not_running_time() -> None:
    cluster = FakeCluster(inline_job(runPolicy={"activeDeadlineSeconds": 10}))
    cluster.settle()
    cluster.wait(1000)
    cluster.settle()
    assert state(cluster) == State.STARTING


def test_a_pod_that_waits_too_long_fails_the_job_in_the_schedulers_words() -> None:
    for made in (inline_job, job):
        cluster = FakeCluster(made(runPolicy={"pendingDeadlineSeconds": 30}))
        cluster.settle()
        condition = {"type": "PodScheduled", "status": "False", "message": "0/3 nodes fit"}
        cluster.pods()[0]["status"]["conditions"] = [condition]
        cluster.settle()
        assert state(cluster) == State.PENDING
        cluster.wait(30)
        cluster.settle()
        assert cluster.status.failure is not None
        assert "0/3 nodes fit" in cluster.status.failure.message
