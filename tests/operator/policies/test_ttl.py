"""What a finished job leaves, and for how long."""

from finetune_api.outcomes import Outcome
from support.fake_cluster import FakeCluster
from support.operator_jobs import inline_job, running

CLAIM = {"spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}}


def ended(outcome: Outcome, **policy: object) -> FakeCluster:
    """A cluster whose job has ended like this."""
    cluster = FakeCluster(inline_job(runPolicy=policy, output={"volumeClaimTemplate": CLAIM}))
    running(cluster)
    for pod in cluster.pods():
        cluster.end(pod, outcome)
    cluster.settle()
    return cluster


def test_children_stay_when_no_time_is_set() -> None:
    cluster = ended(Outcome.SUCCEEDED)
    cluster.wait(10**7)
    assert not cluster.plan().acts
    assert cluster.plan().requeue_after is None


def test_children_go_in_their_time_and_the_results_and_the_job_stay() -> None:
    cluster = ended(Outcome.SUCCEEDED, ttlSecondsAfterFinished={"succeeded": 60, "failed": 5})
    assert cluster.plan().requeue_after == 60
    cluster.wait(60)
    cluster.settle()
    cluster.kubelet()
    cluster.settle()
    assert list(cluster.objects) == [("PersistentVolumeClaim", "arc-easy-output")]
    assert "deletionTimestamp" not in cluster.job["metadata"]
    assert cluster.events.count("ChildrenDeleted") == 1


def test_failed_jobs_have_a_time_of_their_own() -> None:
    cluster = ended(Outcome.DIVERGED, ttlSecondsAfterFinished={"succeeded": 60, "failed": 5})
    assert cluster.plan().requeue_after == 5


def test_the_job_itself_goes_only_when_that_is_asked_for() -> None:
    cluster = ended(Outcome.SUCCEEDED, deleteJobAfterSeconds=90)
    cluster.wait(90)
    cluster.settle()
    assert "deletionTimestamp" in cluster.job["metadata"]
