"""Attempts never overlap and each is told apart from those before it, also when the job has lost its status."""

from typing import Any

import pytest

from finetune_api.names import ATTEMPT_LABEL, RANK_LABEL
from finetune_api.outcomes import Outcome
from finetune_api.reasons import ConditionType, State
from finetune_api.status import condition_of
from support.fake_cluster import FakeCluster
from support.operator_jobs import failed_over, inline_job, running, state


def said(cluster: FakeCluster) -> str:
    """What the condition says of the pods."""
    condition = condition_of(cluster.status.conditions, ConditionType.RUNNING)
    assert condition is not None
    return f"{condition.reason}: {condition.message}"


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


def leaving(cluster: FakeCluster) -> FakeCluster:
    """The same cluster once rank 0 has crashed and rank 1 was asked to leave."""
    running(cluster)
    cluster.exit(cluster.pods("Running")[0], 1)
    cluster.settle()
    return cluster


def test_a_pod_that_never_leaves_is_named_with_its_node_and_what_helps() -> None:
    cluster = leaving(FakeCluster(inline_job()))
    assert (state(cluster), cluster.plan().requeue_after) == (State.RESTARTING, 30)
    cluster.wait(30)
    cluster.settle()
    assert state(cluster) == State.PENDING
    for words in ("PodsTerminating", "arc-easy-0-1", "node-1", "out-of-service", "kubectl delete pod --force"):
        assert words in said(cluster)
    cluster.wait(10_000)
    cluster.settle()
    assert cluster.events.count("PodsTerminating") == 1
    cluster.kubelet()
    assert state(running(cluster)) == State.RUNNING


def test_pods_that_leave_in_time_are_not_worth_a_word() -> None:
    cluster = leaving(FakeCluster(inline_job()))
    cluster.wait(29)
    cluster.settle()
    cluster.kubelet()
    running(cluster)
    assert "PodsTerminating" not in cluster.events


def test_where_nodes_are_not_watched_a_pod_that_never_started_on_a_dead_one_is_named() -> None:
    cluster = FakeCluster(inline_job())
    cluster.watches_nodes = False
    cluster.settle()
    cluster.run(cluster.pod("arc-easy-0-0"))
    cluster.pod("arc-easy-0-1")["spec"]["nodeName"] = "node-1"
    cluster.nodes["node-1"] = "NotReady"
    cluster.exit(cluster.pod("arc-easy-0-0"), 1)
    cluster.settle()
    cluster.wait(30)
    cluster.settle()
    assert said(cluster).startswith("PodsTerminating: ")
    assert "arc-easy-0-1 on node node-1" in said(cluster)


def test_when_what_was_in_the_way_has_gone_the_pause_is_told_as_such() -> None:
    cluster = FakeCluster(inline_job(runPolicy={"maxRestarts": 20}))
    for _ in range(6):
        failed_over(cluster)
        cluster.wait(300)
    leaving(cluster)
    cluster.wait(40)
    cluster.settle()
    assert state(cluster) == State.PENDING
    cluster.kubelet()
    cluster.settle()
    assert cluster.plan().requeue_after == 24
    assert said(cluster).startswith("Restarting: Attempt 6 ended: Pod arc-easy-6-0 ")


@pytest.mark.parametrize("fruitless", [1, 3])
def test_an_end_in_the_future_of_this_leaders_clock_delays_nothing(fruitless: int) -> None:
    cluster = FakeCluster(inline_job())
    for _ in range(fruitless):
        failed_over(cluster)
        cluster.wait(300)
    cluster.wait(-3900)
    cluster.settle()
    assert cluster.attempts_alive() == {str(fruitless)}


def shrunk() -> FakeCluster:
    """A run of two nodes of the four that are wanted."""
    cluster = running(FakeCluster(inline_job(elastic={"minNodes": 1, "maxNodes": 4})))
    cluster.job["spec"]["nodes"] = 4
    return cluster


def test_a_job_that_lost_its_status_while_it_was_shrunk_is_taken_over_as_it_is() -> None:
    cluster = shrunk()
    del cluster.job["status"]
    cluster.settle()
    assert [(one.number, one.nodes, one.wanted_nodes) for one in cluster.status.attempts] == [(0, 2, 4)]
    assert (cluster.attempts_alive(), state(cluster)) == ({"0"}, State.RUNNING)
    assert not any("deletionTimestamp" in pod["metadata"] for pod in cluster.pods())
    failed_over(cluster)
    running(cluster)
    assert len(cluster.pods("Running")) == 4


@pytest.mark.parametrize("ranks", [["0"], ["0", "1", "2"], ["1", "2"]], ids=["one", "odd", "headless"])
def test_an_attempt_that_no_size_of_the_job_explains_is_not_taken_over(ranks: list[str]) -> None:
    cluster = FakeCluster(inline_job(nodes=4, elastic={"minNodes": 2, "maxNodes": 4}))
    running(cluster)
    del cluster.job["status"]
    kept: dict[Any, Any] = {}
    for key, body in cluster.objects.items():
        labels = body["metadata"].get("labels", {})
        if ATTEMPT_LABEL not in labels or labels[RANK_LABEL] in ranks:
            kept[key] = body
    cluster.objects = kept
    cluster.settle()
    assert [one.number for one in cluster.status.attempts] == [1]


def test_a_pod_that_never_leaves_is_waited_for_no_longer_than_pods_may_wait() -> None:
    cluster = leaving(FakeCluster(inline_job(runPolicy={"pendingDeadlineSeconds": 600})))
    cluster.wait(599)
    cluster.settle()
    assert (state(cluster), cluster.plan().requeue_after) == (State.PENDING, 1)
    cluster.wait(1)
    cluster.settle()
    failed = condition_of(cluster.status.conditions, ConditionType.FAILED)
    assert failed is not None
    assert failed.reason == "DeadlineExceeded"
    assert "arc-easy-0-1 on node node-1" in failed.message


def test_a_pod_that_saves_within_its_grace_is_not_waited_for_too_long() -> None:
    cluster = leaving(FakeCluster(inline_job(runPolicy={"pendingDeadlineSeconds": 60})))
    cluster.pod("arc-easy-0-1")["metadata"]["deletionTimestamp"] = "2026-01-01T00:10:00Z"
    cluster.wait(600)
    cluster.settle()
    assert state(cluster) == State.RESTARTING
    cluster.wait(60)
    cluster.settle()
    assert state(cluster) == State.FAILED


def test_neither_the_pause_between_attempts_nor_a_suspension_is_such_a_wait() -> None:
    cluster = FakeCluster(inline_job(runPolicy={"maxRestarts": 20, "pendingDeadlineSeconds": 10}))
    for _ in range(6):
        failed_over(cluster)
        cluster.wait(300)
    cluster.edit(suspend=True)
    cluster.settle()
    cluster.wait(3600)
    cluster.edit(suspend=False)
    assert state(running(cluster)) == State.RUNNING
    leaving(cluster)
    cluster.kubelet()
    cluster.wait(20)
    cluster.settle()
    assert state(cluster) == State.RESTARTING
