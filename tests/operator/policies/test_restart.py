"""Attempts follow each other: never two at once, within the budget, and not for ever."""

from datetime import timedelta

import pytest

from finetune_api.outcomes import Outcome
from finetune_api.reasons import AttemptOutcome, ConditionType, State
from finetune_api.status import ProgressStatus, condition_of
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
    assert cluster.plan().requeue_after == cluster.settings.timing.dead_node_window
    cluster.wait(1)
    cluster.end(cluster.pod("arc-easy-0-1"), Outcome.DIVERGED, rank=1)
    cluster.settle()
    assert cluster.status.failure is not None
    assert (cluster.status.failure.reason, cluster.status.failure.rank) == ("Diverged", 1)


def test_the_clock_of_a_node_does_not_lengthen_the_wait_for_the_cause() -> None:
    for skew in (3600, -3600):
        cluster = running(FakeCluster(inline_job()))
        cluster.wait(skew)
        cluster.end(cluster.pod("arc-easy-0-0"), Outcome.RETRYABLE, rank=0)
        cluster.wait(-skew)
        cluster.settle()
        assert cluster.status.attempts[0].outcome is None
        cluster.wait(cluster.settings.timing.dead_node_window)
        cluster.settle()
        assert cluster.status.attempts[0].outcome == AttemptOutcome.FAILURE


def test_a_broken_connection_is_no_failure_when_its_other_end_was_on_a_node_that_died() -> None:
    cluster = running(FakeCluster(inline_job()))
    cluster.end(cluster.pod("arc-easy-0-0"), Outcome.RETRYABLE, rank=0)
    cluster.wait(50)
    cluster.settle()
    assert cluster.status.attempts[-1].outcome is None
    cluster.nodes["node-1"] = "NotReady"
    cluster.settle()
    assert cluster.status.attempts[0].outcome == AttemptOutcome.NODE_LOSS
    assert cluster.status.failure is not None
    assert (cluster.status.failure.node, cluster.status.restarts) == ("node-1", 0)


def test_of_several_nodes_that_report_a_hang_the_one_furthest_behind_is_named() -> None:
    cluster = running(FakeCluster(inline_job()))
    cluster.end(cluster.pod("arc-easy-0-0"), Outcome.RETRYABLE, facts={"hang": {"beats": 9}}, reason="Hang", rank=0)
    cluster.settle()
    cluster.wait(2)
    said = {"hang": {"beats": 7, "frozen": False}}
    cluster.end(cluster.pod("arc-easy-0-1"), Outcome.RETRYABLE, facts=said, reason="Hang", rank=1, traceback="stack")
    cluster.settle()
    failure = cluster.status.failure
    assert failure is not None
    assert (failure.reason, failure.rank, failure.traceback) == ("Hang", 1, "stack")
    assert (cluster.status.attempts[0].outcome, cluster.status.restarts) == (AttemptOutcome.HANG, 1)


def test_a_job_restored_without_its_status_goes_on_behind_the_claim_that_it_finds() -> None:
    cluster = running(FakeCluster(inline_job(runPolicy={"maxRestarts": 0})))
    cluster.end(cluster.pod("arc-easy-0-0"), Outcome.RETRYABLE, facts={"claimedAttempt": 6}, reason="Superseded")
    cluster.end(cluster.pod("arc-easy-0-1"), Outcome.RETRYABLE)
    cluster.settle()
    assert [one.number for one in cluster.status.attempts] == [0, 7]
    assert (cluster.status.attempts[0].reason, cluster.status.restarts) == ("Superseded", 0)
    assert "arc-easy-7-0" in cluster.names()


def test_a_disruption_is_told_with_its_place_like_any_failure() -> None:
    cluster = running(FakeCluster(inline_job()))
    cluster.nodes["node-1"] = "NotReady"
    cluster.settle()
    failure = cluster.status.failure
    assert failure is not None
    assert (failure.reason, failure.pod, failure.node, failure.rank) == ("NodeLost", "arc-easy-0-1", "node-1", 1)


def test_the_step_of_a_pod_without_words_is_what_was_last_told_of_this_attempt() -> None:
    for seconds, step in ((5, 12), (-5, None)):
        cluster = running(FakeCluster(inline_job()))
        cluster.progress = ProgressStatus(step=12, last_step_time=cluster.now + timedelta(seconds=seconds))
        cluster.settle()
        cluster.exit(cluster.pod("arc-easy-0-1"), 137, reason="OOMKilled")
        cluster.settle()
        assert cluster.status.failure is not None
        assert (cluster.status.failure.reason, cluster.status.failure.step) == ("OutOfMemory", step)


def test_peers_that_give_up_on_a_pod_without_a_node_cost_nothing() -> None:
    cluster = FakeCluster(inline_job(runPolicy={"maxRestarts": 0}))
    cluster.settle()
    cluster.run(cluster.pod("arc-easy-0-0"))
    cluster.hold_up(cluster.pod("arc-easy-0-1"))
    cluster.settle()
    cluster.end(cluster.pod("arc-easy-0-0"), Outcome.RETRYABLE, reason="PreflightFailed", facts={"suspects": [1]})
    cluster.reconcile()
    cluster.wait(3)
    cluster.settle()
    before, newest = cluster.status.attempts
    assert (before.outcome, before.reason, newest.avoided_nodes) == (AttemptOutcome.CANCELLED, "PeersPending", None)
    assert (cluster.status.restarts, cluster.status.failure) == (0, None)


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


def peers_gave_up(cluster: FakeCluster) -> None:
    """Rank 0 runs, and gives up waiting for a peer that does not start."""
    cluster.settle()
    cluster.run(cluster.pods("Pending")[0])
    cluster.settle()
    cluster.end(cluster.pods("Running")[0], Outcome.RETRYABLE)
    cluster.settle()
    cluster.wait(3)
    cluster.settle()
    cluster.kubelet()


@pytest.mark.parametrize("turns", ["ddd", "dpdpd", "pdppdd", "dpppppppppdppppppppppd"])
def test_waiting_for_peers_between_disruptions_does_not_make_them_endless(turns: str) -> None:
    cluster = FakeCluster(inline_job(runPolicy={"maxRestarts": 0}), settings=Settings(fruitless_disruptions=3))
    for turn in turns:
        assert not any(one.type == ConditionType.FAILED for one in cluster.status.conditions)
        (peers_gave_up if turn == "p" else evicted)(cluster)
        cluster.wait(600)
    failed = condition_of(cluster.status.conditions, ConditionType.FAILED)
    assert failed
    assert failed.reason == "NoProgress"
    assert cluster.status.attempts[-1].number == len(turns) - 1


def test_with_a_crd_that_drops_the_count_disruptions_end_with_those_that_are_listed() -> None:
    cluster = FakeCluster(inline_job(), settings=Settings(fruitless_disruptions=12))
    for _ in range(10):
        evicted(cluster)
        cluster.job["status"].pop("earlierDisruptions", None)
        cluster.wait(600)
    assert cluster.status.state == State.FAILED


def test_how_long_a_busy_cluster_is_waited_for_is_the_jobs_own_to_say() -> None:
    cluster = FakeCluster(inline_job(runPolicy={"maxRestarts": 0}), settings=Settings(fruitless_disruptions=3))
    for _ in range(6):
        peers_gave_up(cluster)
        cluster.wait(600)
    assert {one.reason for one in cluster.status.attempts if one.outcome} == {"PeersPending"}
    assert cluster.status.state != State.FAILED


@pytest.mark.parametrize("outcome", [Outcome.RETRYABLE, Outcome.PREEMPTED])
def test_with_a_crd_that_forgets_when_a_pod_ended_the_attempt_ends_all_the_same(outcome: Outcome) -> None:
    cluster = running(FakeCluster(inline_job()))
    cluster.end(cluster.pod("arc-easy-0-0"), outcome)
    passed = 0
    while cluster.status.attempts[0].outcome is None and passed < 200:
        for name in ("endingTime", "graceSeconds"):
            cluster.job["status"]["attempts"][0].pop(name, None)
        cluster.reconcile()
        cluster.wait(3)
        passed += 3
    assert 60 < passed < 130, "no clock of a node differs by a minute from the operator's where this matters"
