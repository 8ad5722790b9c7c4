"""What is in the way is told, waited for, and forgotten once it is gone."""

import pytest

from finetune_api.reasons import State
from finetune_operator.observed import Surroundings, observe
from finetune_operator.plan import plan
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


@pytest.mark.parametrize(
    ("code", "answer", "stalled"),
    [(403, "exceeded quota: compute", State.PENDING), (422, "is invalid", State.STALLED)],
)
def test_an_obstacle_that_stays_is_told_once_however_often_it_is_tried(code: int, answer: str, stalled: State) -> None:
    cluster = FakeCluster(inline_job())
    for _ in range(4):
        cluster.reconcile()
        cluster.objects.pop(("Pod", "arc-easy-0-1"), None)
        cluster.refuse(code, answer, name="arc-easy-0-1")
        cluster.settle()
        assert state(cluster) == stalled
        cluster.wait(30)
    told = [reason for reason in cluster.events if reason in ("QuotaExceeded", "ChildRefused", "Starting")]
    assert told in (["Starting", "QuotaExceeded"], ["Starting", "ChildRefused"])


def test_a_refusal_is_forgotten_as_soon_as_its_object_is_there() -> None:
    cluster = FakeCluster(inline_job())
    cluster.reconcile()
    cluster.refuse(422, "is invalid", name="arc-easy-0-1")
    cluster.settle()
    assert state(cluster) == State.STARTING


def test_what_a_create_answers_is_looked_at_right_after_it_was_tried_again() -> None:
    cluster = FakeCluster(inline_job())
    cluster.refuse(403, "exceeded quota: compute")
    cluster.settle()
    cluster.wait(30)
    decided = cluster.plan()
    assert (len(decided.create), decided.requeue_after) == (5, 0)
    cluster.settle()
    assert state(cluster) == State.STARTING


def test_a_group_of_another_owner_is_told() -> None:
    group = {"kind": "PodGroup", "metadata": {"name": "arc-easy-0", "uid": "other", "labels": {}}}
    cluster = FakeCluster(inline_job(scheduling={"gang": "Volcano"}))
    foreign = observe(cluster.seen_job(), Surroundings(children=[group]))
    decided = plan(cluster.seen_job(), foreign, cluster.now, cluster.settings)
    assert decided.create == ()
    assert decided.status is not None
    assert decided.status.state == State.STALLED
