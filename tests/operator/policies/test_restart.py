"""Attempts follow each other: never two at once, within the budget, and not for ever."""

from finetune_api.outcomes import Outcome
from finetune_api.reasons import AttemptOutcome, ConditionType, State
from finetune_api.status import condition_of
from finetune_operator.settings import Settings
from support.fake_cluster import FakeCluster
from support.operator_jobs import failed_over, inline_job, running

FIRST = ["arc-easy-0-0", "arc-easy-0-1"]
SECOND = ["arc-easy-1-0", "arc-easy-1-1"]


def evicted(cluster: FakeCluster) -> None:
    """An attempt runs, and one of its pods is taken away; its peer goes with it."""
    running(cluster)
    cluster.evict(cluster.pods("Running")[0])
    cluster.kubelet()
    cluster.settle()
    cluster.kubelet()


def test_the_next_attempt_waits_until_the_last_pod_of_the_one_before_has_ended() -> None:
    cluster = running(FakeCluster(inline_job()))
    cluster.exit(cluster.pod("arc-easy-0-1"), 1)
    cluster.settle()
    cluster.wait(100)
    cluster.settle()
    assert cluster.names() == FIRST
    cluster.kubelet()
    cluster.settle()
    assert set(cluster.names()) == {"arc-easy-0-1", *SECOND}


def test_a_pod_on_a_lost_node_is_not_waited_for() -> None:
    cluster = running(FakeCluster(inline_job()))
    cluster.nodes["node-1"] = "NotReady"
    cluster.settle()
    cluster.kubelet()
    cluster.settle()
    assert set(cluster.names()) == {"arc-easy-0-1", *SECOND}
    assert cluster.status.attempts[0].outcome == AttemptOutcome.NODE_LOSS
    assert cluster.status.restarts == 0


def test_where_nodes_are_not_watched_their_loss_is_seen_in_the_pods() -> None:
    cluster = FakeCluster(inline_job())
    cluster.watches_nodes = False
    running(cluster)
    cluster.nodes["node-1"] = "NotReady"
    cluster.settle()
    assert len(cluster.status.attempts) == 1
    cluster.strand()
    cluster.settle()
    cluster.kubelet()
    cluster.settle()
    assert set(cluster.names()) == {"arc-easy-0-1", *SECOND}
    assert cluster.status.attempts[0].outcome == AttemptOutcome.NODE_LOSS
    assert cluster.pod("arc-easy-0-1")["metadata"]["deletionTimestamp"]


def test_only_pods_of_nodes_that_never_come_back_are_removed_by_force() -> None:
    cluster = running(FakeCluster(inline_job()))
    del cluster.nodes["node-1"]
    cluster.reconcile()
    assert {one.name: one.grace for one in cluster.plan().delete} == {"arc-easy-0-0": 5, "arc-easy-0-1": 0}


def test_the_first_recovery_is_immediate_and_later_ones_wait() -> None:
    cluster = failed_over(FakeCluster(inline_job()))
    cluster.settle()
    assert set(SECOND) <= set(cluster.names())
    failed_over(cluster)
    cluster.settle()
    assert cluster.plan().requeue_after == 2
    cluster.wait(2)
    cluster.settle()
    assert "arc-easy-2-0" in cluster.names()


def test_logs_of_the_last_attempt_are_kept_and_older_ones_go() -> None:
    cluster = failed_over(FakeCluster(inline_job()), 2)
    cluster.wait(60)
    cluster.settle()
    cluster.kubelet()
    assert sorted({name[:10] for name in cluster.names()}) == ["arc-easy-1", "arc-easy-2"]


def test_disruptions_cost_nothing_but_do_not_go_on_for_ever() -> None:
    cluster = FakeCluster(inline_job(runPolicy={"maxRestarts": 0}), settings=Settings(fruitless_disruptions=3))
    for _ in range(2):
        evicted(cluster)
        cluster.wait(600)
    assert (cluster.status.restarts, len(cluster.status.attempts)) == (0, 3)
    evicted(cluster)
    assert cluster.status.state == State.FAILED
    assert "NoProgress" in cluster.events


def test_an_echo_is_not_taken_for_the_cause_when_the_cause_comes_a_moment_later() -> None:
    cluster = running(FakeCluster(inline_job()))
    cluster.end(cluster.pod("arc-easy-0-0"), Outcome.RETRYABLE, rank=0)
    assert cluster.plan().requeue_after == cluster.settings.timing.cause_window
    cluster.wait(1)
    cluster.end(cluster.pod("arc-easy-0-1"), Outcome.DIVERGED, rank=1)
    cluster.settle()
    assert cluster.status.failure is not None
    assert (cluster.status.failure.reason, cluster.status.failure.rank) == ("Diverged", 1)


def test_ten_attempts_are_remembered_and_numbers_go_on() -> None:
    cluster = FakeCluster(inline_job(runPolicy={"maxRestarts": 20}))
    for _ in range(12):
        failed_over(cluster)
        cluster.wait(1000)
    assert [one.number for one in cluster.status.attempts] == list(range(3, 13))
    assert cluster.status.restarts == 12


def test_a_finished_run_that_an_attempt_finds_in_the_output_completes_the_job() -> None:
    cluster = running(FakeCluster(inline_job()))
    for pod in cluster.pods():
        cluster.end(pod, Outcome.SUCCEEDED, reason="AlreadyComplete")
    cluster.settle()
    complete = condition_of(cluster.status.conditions, ConditionType.COMPLETE)
    assert complete is not None
    assert (complete.status, complete.reason) == ("True", "AlreadyComplete")
    assert cluster.status.outputs is not None
    assert cluster.status.outputs.report == "/output/report.html"
