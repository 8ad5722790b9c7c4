"""Deadlines: of running, which counts all attempts, and of waiting."""

import pytest

from finetune_api.outcomes import Outcome
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


def words(cluster: FakeCluster) -> str:
    """Why the job failed."""
    assert cluster.status.failure is not None
    assert cluster.status.failure.reason == "DeadlineExceeded"
    return cluster.status.failure.message


def test_pods_that_the_quota_keeps_out_wait_too() -> None:
    for made, name in ((inline_job, "arc-easy-0-0"), (job, "arc-easy-prepare")):
        cluster = FakeCluster(made(runPolicy={"pendingDeadlineSeconds": 100}))
        for _ in range(4):
            cluster.reconcile()
            cluster.objects = {key: body for key, body in cluster.objects.items() if key[0] != "Pod"}
            cluster.refuse(403, "exceeded quota: compute", name=name)
            cluster.settle()
            assert state(cluster) == State.PENDING
            cluster.wait(25)
        cluster.settle()
        assert "exceeded quota: compute" in words(cluster)


def test_code_that_never_comes_ends_the_wait() -> None:
    cluster = FakeCluster(job(code={"configMap": {"name": "code"}}, runPolicy={"pendingDeadlineSeconds": 100}))
    cluster.code = None
    cluster.settle()
    cluster.wait(99)
    cluster.settle()
    assert state(cluster) != State.FAILED
    cluster.wait(1)
    cluster.settle()
    assert 'configmaps "code" not found' in words(cluster)


def test_the_pause_between_attempts_and_a_suspension_are_no_waiting() -> None:
    cluster = running(FakeCluster(inline_job(runPolicy={"pendingDeadlineSeconds": 10})))
    cluster.edit(suspend=True)
    cluster.settle()
    cluster.kubelet()
    cluster.wait(1000)
    cluster.settle()
    assert state(cluster) == State.SUSPENDED
    cluster.edit(suspend=False)
    cluster.settle()
    assert state(cluster) == State.STARTING


def test_a_job_that_is_resumed_begins_to_wait_then() -> None:
    for made in (inline_job, job):
        cluster = FakeCluster(made(runPolicy={"pendingDeadlineSeconds": 10, "suspend": True}))
        cluster.settle()
        cluster.wait(1000)
        cluster.edit(suspend=False)
        cluster.refuse(403, "exceeded quota: compute", name="arc-easy")
        cluster.settle()
        assert state(cluster) == State.PENDING
        cluster.wait(10)
        cluster.settle()
        assert "exceeded quota: compute" in words(cluster)


def test_a_prepare_pod_that_the_quota_keeps_from_being_replaced_waits_too() -> None:
    cluster = running(FakeCluster(job(runPolicy={"pendingDeadlineSeconds": 100})))
    cluster.wait(500)
    cluster.settle()
    assert state(cluster) == State.PREPARING
    cluster.exit(cluster.pods()[0], 137)
    cluster.settle()
    for _ in range(4):
        cluster.objects = {key: body for key, body in cluster.objects.items() if key[0] != "Pod"}
        cluster.refuse(403, "exceeded quota: compute", name="arc-easy-prepare")
        cluster.settle()
        assert state(cluster) == State.PENDING
        cluster.wait(25)
    cluster.settle()
    assert "exceeded quota: compute" in words(cluster)


@pytest.mark.parametrize(("told", "end"), [(Outcome.SUCCEEDED, None), (Outcome.DIVERGED, "Diverged")])
def test_what_pods_told_while_no_operator_was_there_is_the_end(told: Outcome, end: str | None) -> None:
    cluster = running(FakeCluster(inline_job(runPolicy={"activeDeadlineSeconds": 100})))
    cluster.wait(50)
    for pod in cluster.pods():
        cluster.end(pod, told)
    cluster.wait(60)
    cluster.settle()
    failure = cluster.status.failure
    assert (failure and failure.reason, cluster.status.active_seconds) == (end, 50)


def test_a_mistake_in_the_data_is_told_though_a_peer_waited_too_long() -> None:
    cluster = FakeCluster(inline_job(runPolicy={"pendingDeadlineSeconds": 100}))
    cluster.settle()
    cluster.run(cluster.pod("arc-easy-0-0"))
    cluster.end(cluster.pod("arc-easy-0-0"), Outcome.DATASET_INVALID)
    cluster.wait(110)
    cluster.settle()
    assert cluster.status.failure is not None
    assert cluster.status.failure.reason == "DatasetInvalid"


@pytest.mark.parametrize("seen", [True, False])
def test_a_suspended_job_that_left_in_time_is_suspended(seen: bool) -> None:
    cluster = running(FakeCluster(inline_job(runPolicy={"activeDeadlineSeconds": 100})))
    cluster.wait(50)
    cluster.edit(suspend=True)
    cluster.settle()
    for pod in cluster.pods():
        cluster.end(pod, Outcome.PREEMPTED)
    cluster.kubelet(seen=seen)
    cluster.wait(60)
    cluster.settle()
    assert (state(cluster), cluster.status.attempts[0].outcome) == (State.SUSPENDED, AttemptOutcome.SUSPENDED)


def test_pods_of_a_job_that_is_to_be_suspended_wait_for_nothing() -> None:
    for made in (inline_job, job):
        cluster = FakeCluster(made(runPolicy={"pendingDeadlineSeconds": 100}))
        cluster.settle()
        cluster.edit(suspend=True)
        cluster.wait(110)
        cluster.settle()
        cluster.kubelet()
        cluster.settle()
        assert state(cluster) == State.SUSPENDED


@pytest.mark.parametrize(("told", "end"), [(Outcome.SUCCEEDED, None), (Outcome.DATASET_INVALID, "DatasetInvalid")])
def test_a_prepare_pod_that_told_its_end_and_went_waits_no_more(told: Outcome, end: str | None) -> None:
    cluster = running(FakeCluster(job(runPolicy={"pendingDeadlineSeconds": 100})))
    cluster.end(cluster.pods()[0], told)
    cluster.remove(cluster.pods()[0])
    cluster.wait(110)
    cluster.settle()
    failure = cluster.status.failure
    assert (failure and failure.reason, len(cluster.pods()) > 0) == (end, end is None)


def test_a_prepare_pod_that_was_taken_away_had_not_waited() -> None:
    cluster = running(FakeCluster(job(runPolicy={"pendingDeadlineSeconds": 100})))
    cluster.wait(500)
    cluster.settle()
    cluster.remove(cluster.pods()[0])
    cluster.settle()
    assert (state(cluster), cluster.status.prepare_disruptions) == (State.PREPARING, 1)


def test_the_time_in_which_nobody_saw_that_all_pods_had_ended_is_no_running_time() -> None:
    cluster = running(FakeCluster(inline_job(runPolicy={"activeDeadlineSeconds": 90})))
    cluster.wait(10)
    for pod in cluster.pods():
        cluster.end(pod, Outcome.RETRYABLE)
    cluster.wait(85)
    running(cluster)
    assert (cluster.status.active_seconds, state(cluster)) == (10, State.RUNNING)


@pytest.mark.parametrize("skew", [-3600, 3600])
def test_the_clock_of_a_node_does_not_change_how_long_an_attempt_ran(skew: float) -> None:
    cluster = running(FakeCluster(inline_job()))
    cluster.wait(10 + skew)
    for pod in cluster.pods():
        cluster.exit(pod, 1)
    cluster.wait(-skew)
    cluster.settle()
    assert cluster.status.active_seconds == 10
