"""Attempts never overlap and each is told apart from those before it, also when the job has lost its status."""

from finetune_api.outcomes import Outcome
from finetune_api.reasons import State
from support.fake_cluster import FakeCluster
from support.operator_jobs import failed_over, inline_job, running


def test_a_job_that_lost_its_status_takes_over_the_attempt_that_runs() -> None:
    cluster = running(failed_over(FakeCluster(inline_job())))
    del cluster.job["status"]
    cluster.settle()
    assert [one.number for one in cluster.status.attempts] == [1]
    assert (cluster.attempts_alive(), cluster.status.state) == ({"1"}, State.RUNNING)
    assert not any(pod["metadata"].get("deletionTimestamp") for pod in cluster.pods("Running"))


def test_a_job_that_lost_its_status_after_its_end_is_complete_and_creates_nothing() -> None:
    cluster = running(failed_over(FakeCluster(inline_job())))
    for pod in cluster.pods("Running"):
        cluster.end(pod, Outcome.SUCCEEDED)
    cluster.settle()
    before = cluster.names()
    del cluster.job["status"]
    cluster.settle()
    assert (cluster.status.state, [one.number for one in cluster.status.attempts]) == (State.COMPLETE, [1])
    assert set(cluster.names()) <= set(before)


def test_a_job_that_lost_its_status_and_a_pod_ends_what_runs_before_it_begins_anew() -> None:
    cluster = running(failed_over(FakeCluster(inline_job())))
    del cluster.job["status"]
    cluster.objects.pop(("Pod", "arc-easy-1-1"))
    cluster.gone = []
    cluster.settle()
    assert [one.number for one in cluster.status.attempts] == [2]
    assert cluster.attempts_alive() == {"1"}, "its pods are asked to leave, and nothing is created beside them"
    cluster.kubelet()
    running(cluster)
    assert (cluster.attempts_alive(), cluster.status.state) == ({"2"}, State.RUNNING)


def test_pods_of_a_later_attempt_than_the_status_knows_are_in_the_way_too() -> None:
    cluster = failed_over(FakeCluster(inline_job()))
    cluster.settle()
    older = cluster.job["status"]
    failed_over(cluster)
    cluster.wait(2)
    running(cluster)
    for name in ("arc-easy-1-0", "arc-easy-1-1"):
        cluster.objects.pop(("Pod", name), None)
    cluster.gone = []
    cluster.job["status"] = older
    cluster.settle()
    assert cluster.attempts_alive() == {"2"}
    assert not [name for name in cluster.names() if not name.startswith("arc-easy-2")]


def test_a_pod_that_says_it_was_unplaceable_waits_for_the_backoff_like_any_other() -> None:
    cluster = FakeCluster(inline_job(runPolicy={"maxRestarts": 9}))
    for _ in range(2):
        running(cluster)
        for pod in cluster.pods("Running"):
            cluster.end(pod, Outcome.CRASHED, reason="Unplaceable")
        cluster.settle()
        cluster.kubelet()
    assert (cluster.status.attempts[-2].outcome, cluster.plan().requeue_after) == ("Failure", 2)
