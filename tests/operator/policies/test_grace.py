"""The grace of an attempt follows the saves that were measured before it."""

import pytest

from finetune_api.outcomes import Outcome
from finetune_api.status import ProgressStatus
from finetune_operator.policies.grace import measured_grace
from support.fake_cluster import FakeCluster
from support.operator_jobs import failed_over, inline_job, running


@pytest.mark.parametrize(
    ("progress", "grace"),
    [
        (None, 0),
        (ProgressStatus(step=3, step_seconds=9), 0),
        (ProgressStatus(save_seconds=0), 10),
        (ProgressStatus(save_seconds=100.2, step_seconds=20), 251),
        (ProgressStatus(save_seconds=80_000, step_seconds=80_000), 3600),
    ],
)
def test_it_is_twice_the_step_in_flight_and_the_longest_save(progress: ProgressStatus | None, grace: int) -> None:
    assert measured_grace(progress) == grace


def graces(cluster: FakeCluster) -> list[int | None]:
    """What each attempt was granted."""
    return [one.grace_seconds for one in cluster.status.attempts]


def test_slow_saves_lengthen_the_grace_of_the_next_attempt_and_of_those_after_it() -> None:
    cluster = running(FakeCluster(inline_job(runPolicy={"gracePeriodSeconds": 60})))
    cluster.progress = ProgressStatus(step=5, last_checkpoint_step=5, save_seconds=200, step_seconds=5)
    cluster.settle()
    cluster.progress = None
    failed_over(cluster, 2)
    cluster.wait(60)
    running(cluster)
    assert graces(cluster) == [60, 420, 420]
    assert cluster.pod("arc-easy-1-0")["spec"]["terminationGracePeriodSeconds"] == 420


def test_quick_saves_leave_it_at_what_the_job_asks_for() -> None:
    cluster = running(FakeCluster(inline_job(runPolicy={"gracePeriodSeconds": 60})))
    for pod in cluster.pods():
        cluster.end(pod, Outcome.RETRYABLE, progress={"saveSeconds": 2, "stepSeconds": 1})
    cluster.settle()
    assert graces(cluster) == [60, 60]


def test_last_words_tell_the_longest_save_and_an_absurd_one_is_passed_over() -> None:
    for told, grace in ((300, 610), (1e300, 120), (-5, 120), ("long", 120)):
        cluster = running(FakeCluster(inline_job()))
        for pod in cluster.pods():
            cluster.end(pod, Outcome.RETRYABLE, progress={"saveSeconds": told})
        cluster.settle()
        assert graces(cluster)[-1] == grace


def test_a_drained_attempt_is_waited_for_as_long_as_its_own_grace() -> None:
    cluster = running(FakeCluster(inline_job()))
    cluster.end(cluster.pod("arc-easy-0-0"), Outcome.PREEMPTED)
    cluster.evict(cluster.pod("arc-easy-0-1"))
    assert cluster.reconcile().requeue_after == 120
    cluster.wait(50)
    assert cluster.plan().requeue_after == 70
    cluster.wait(70)
    cluster.settle()
    assert cluster.status.attempts[0].outcome == "Disruption"


def test_a_pod_that_says_it_was_drained_while_nobody_else_leaves_holds_up_little() -> None:
    for told, seconds in (({}, 30), ({"saveSeconds": 15, "stepSeconds": 5}, 50), ({"saveSeconds": 3000}, 3000)):
        cluster = running(FakeCluster(inline_job(runPolicy={"gracePeriodSeconds": 3000})))
        cluster.end(cluster.pod("arc-easy-0-0"), Outcome.PREEMPTED, progress=told)
        assert cluster.reconcile().requeue_after == seconds
