"""A new leader whose clock is behind that of the one before it."""

from finetune_api.outcomes import Outcome
from finetune_api.reasons import AttemptOutcome
from support.fake_cluster import FakeCluster
from support.operator_jobs import inline_job, running


def told_by_one_of_two(outcome: Outcome) -> FakeCluster:
    """A run of which one pod has ended, noticed by an operator whose clock is an hour ahead of its follower's."""
    cluster = FakeCluster(inline_job())
    cluster.wait(3600)
    running(cluster)
    cluster.end(cluster.pod("arc-easy-0-0"), outcome)
    cluster.settle()
    cluster.wait(-3600)
    cluster.settle()
    return cluster


def test_the_wait_for_the_cause_goes_by_the_clock_of_the_leader() -> None:
    for outcome in (Outcome.RETRYABLE, Outcome.PREEMPTED):
        cluster = told_by_one_of_two(outcome)
        assert cluster.status.attempts[0].outcome is None, "its peer may still be saving"
        cluster.wait(cluster.settings.timing.dead_node_window)
        cluster.settle()
        assert cluster.status.attempts[0].outcome not in (None, AttemptOutcome.SUCCEEDED)


def test_with_a_crd_that_forgets_when_a_pod_ended_no_clock_is_waited_for() -> None:
    cluster = running(FakeCluster(inline_job()))
    cluster.wait(3600)
    cluster.end(cluster.pod("arc-easy-0-0"), Outcome.RETRYABLE)
    cluster.wait(-3600)
    for name in ("endingTime", "graceSeconds"):
        cluster.job["status"]["attempts"][0].pop(name, None)
    cluster.settle()
    assert cluster.status.attempts[0].outcome == AttemptOutcome.FAILURE
