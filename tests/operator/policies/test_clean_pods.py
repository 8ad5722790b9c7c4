"""`runPolicy.cleanPods`: which pods of a finished job go."""

import pytest

from finetune_api.outcomes import Outcome
from support.fake_cluster import FakeCluster
from support.operator_jobs import inline_job, running


@pytest.mark.parametrize(
    ("policy", "deleted"), [("Running", ["arc-easy-0-1"]), ("All", ["arc-easy-0-0", "arc-easy-0-1"]), ("None", [])]
)
def test_pods_of_a_failed_job_go_as_the_job_says(policy: str, deleted: list[str]) -> None:
    cluster = running(FakeCluster(inline_job(runPolicy={"cleanPods": policy})))
    cluster.end(cluster.pod("arc-easy-0-0"), Outcome.DIVERGED)
    assert cluster.reconcile().delete == ()
    assert [one.name for one in cluster.plan().delete] == deleted


def test_survivors_of_a_failure_cannot_finish_anything() -> None:
    cluster = running(FakeCluster(inline_job()))
    cluster.end(cluster.pod("arc-easy-0-0"), Outcome.DIVERGED)
    cluster.reconcile()
    assert [one.grace for one in cluster.plan().delete] == [cluster.settings.timing.survivor_grace]


def test_a_deadline_stops_what_runs_whatever_is_kept() -> None:
    policy = {"cleanPods": "None", "activeDeadlineSeconds": 10}
    cluster = running(FakeCluster(inline_job(runPolicy=policy)))
    cluster.wait(11)
    cluster.reconcile()
    assert [one.name for one in cluster.plan().delete] == ["arc-easy-0-0", "arc-easy-0-1"]
