"""What is in the way is told, waited for, and forgotten once it is gone."""

from finetune_api.reasons import State
from support.fake_cluster import FakeCluster
from support.operator_jobs import inline_job, state

FOREIGN = {"kind": "Service", "metadata": {"name": "arc-easy", "uid": "other", "labels": {}}}


def message(cluster: FakeCluster) -> str:
    """What the newest condition says."""
    return cluster.status.conditions[-1].message


def test_a_name_that_another_owner_holds_stalls_the_job_until_it_is_free() -> None:
    cluster = FakeCluster(inline_job())
    cluster.objects["Service", "arc-easy"] = FOREIGN
    cluster.settle()
    assert (state(cluster), cluster.pods()) == (State.STALLED, [])
    assert cluster.plan().requeue_after == 30
    del cluster.objects["Service", "arc-easy"]
    cluster.settle()
    assert state(cluster) == State.STARTING


def test_a_quota_is_waited_for_in_the_api_servers_words() -> None:
    cluster = FakeCluster(inline_job())
    cluster.settle()
    del cluster.objects["Pod", "arc-easy-0-1"]
    cluster.refuse(403, "exceeded quota: compute", name="arc-easy-0-1")
    cluster.settle()
    assert (state(cluster), len(cluster.pods())) == (State.PENDING, 1)
    assert "exceeded quota: compute" in " ".join(one.message for one in cluster.status.conditions)
    assert cluster.plan().requeue_after == 30
    cluster.wait(30)
    cluster.settle()
    assert (state(cluster), len(cluster.pods())) == (State.STARTING, 2)


def test_another_refusal_stalls_the_job_and_is_tried_again_later() -> None:
    cluster = FakeCluster(inline_job())
    cluster.reconcile()
    del cluster.objects["Pod", "arc-easy-0-0"]
    cluster.refuse(422, "spec.containers[0].image: Required value")
    cluster.settle()
    assert state(cluster) == State.STALLED
    cluster.wait(31)
    cluster.settle()
    assert state(cluster) == State.STARTING
