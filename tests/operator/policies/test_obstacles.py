"""What is in the way is told, waited for, and forgotten once it is gone."""

from dataclasses import replace
from typing import Any

import pytest

from finetune_api.names import JOB_NAME_LABEL, JOB_UID_LABEL
from finetune_api.outcomes import Outcome
from finetune_api.reasons import State
from finetune_operator.observed import Surroundings, observe
from finetune_operator.plan import plan
from support.fake_cluster import FakeCluster
from support.operator_jobs import failed_over, inline_job, state

FOREIGN = {"kind": "Service", "metadata": {"name": "arc-easy", "uid": "other", "labels": {}}}


def message(cluster: FakeCluster) -> str:
    """What the newest condition says."""
    return cluster.status.conditions[-1].message


def test_a_name_that_another_owner_holds_stalls_the_job_until_it_is_free() -> None:
    cluster = FakeCluster(inline_job())
    cluster.objects["Service", "arc-easy"] = FOREIGN
    cluster.settle()
    assert (state(cluster), cluster.pods()) == (State.STALLED, [])
    assert cluster.plan().requeue_after == 5
    del cluster.objects["Service", "arc-easy"]
    cluster.settle()
    assert state(cluster) == State.STARTING


def left_behind(kind: str, name: str, **metadata: Any) -> dict[str, Any]:
    """An object of an earlier job of the same name."""
    labels = {JOB_NAME_LABEL: "arc-easy", JOB_UID_LABEL: "earlier"}
    owners = [{"kind": "FinetuneJob", "name": "arc-easy", "uid": "earlier"}]
    known = {"name": name, "uid": f"{kind}-{name}", "labels": labels, "ownerReferences": owners}
    return {"kind": kind, "metadata": known | metadata, "status": {"phase": "Running"}, "spec": {}}


def test_what_a_deleted_job_of_the_same_name_has_left_is_deleted_when_nobody_else_does() -> None:
    cluster = FakeCluster(inline_job())
    leftovers = [left_behind("ConfigMap", "arc-easy-config"), left_behind("Pod", "arc-easy-4-0")]
    foreign = observe(cluster.seen_job(), Surroundings(children=leftovers[:1], pods=leftovers[1:]))

    def deleted() -> list[str]:
        decided = plan(cluster.seen_job(), foreign, cluster.now, cluster.settings)
        cluster.apply(replace(decided, delete=()))
        return [deletion.uid for deletion in decided.delete]

    assert deleted() == []
    cluster.wait(29)
    assert deleted() == []
    cluster.wait(1)
    assert deleted() == ["ConfigMap-arc-easy-config", "Pod-arc-easy-4-0"]


def test_kubernetes_has_its_time_whatever_was_in_the_way_before() -> None:
    cluster = FakeCluster(inline_job())
    cluster.refuse(422, "is invalid")
    cluster.reconcile()
    cluster.wait(600)
    found = Surroundings(children=[left_behind("ConfigMap", "arc-easy-config")])
    for seconds, deletions in ((0, 0), (29, 0), (1, 1)):
        cluster.wait(seconds)
        decided = plan(cluster.seen_job(), observe(cluster.seen_job(), found), cluster.now, cluster.settings)
        cluster.apply(replace(decided, delete=()))
        assert len(decided.delete) == deletions


@pytest.mark.parametrize(
    "changes",
    [
        {"labels": {JOB_NAME_LABEL: "arc-easy"}},
        {"labels": {}},
        {"ownerReferences": []},
        {"ownerReferences": [{"uid": "earlier"}, {"uid": "another"}]},
        {"deletionTimestamp": "2026-01-01T00:00:00Z"},
    ],
)
def test_what_may_belong_to_anybody_is_never_deleted(changes: dict[str, Any]) -> None:
    never_deleted(left_behind("ConfigMap", "arc-easy-config", **changes))


def test_results_of_a_deleted_job_of_the_same_name_are_never_deleted() -> None:
    in_the_way = left_behind("ConfigMap", "arc-easy-config", ownerReferences=[])
    never_deleted(in_the_way, left_behind("PersistentVolumeClaim", "arc-easy-output"))


def never_deleted(*left: dict[str, Any]) -> None:
    """Whatever was left behind is told of, and touched by nobody."""
    cluster = FakeCluster(inline_job())
    found = Surroundings(children=left)
    for _ in range(2):
        decided = plan(cluster.seen_job(), observe(cluster.seen_job(), found), cluster.now, cluster.settings)
        assert decided.delete == ()
        cluster.apply(decided)
        cluster.wait(60)
    assert state(cluster) == State.STALLED


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
    [
        (403, "exceeded quota: compute", State.PENDING),
        (403, "services is forbidden: may not create", State.STALLED),
        (422, "is invalid", State.STALLED),
    ],
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


def test_a_suspended_job_is_drained_whatever_stands_in_the_way() -> None:
    cluster = _in_the_place_of_a_second_rank()
    cluster.edit(suspend=True)
    cluster.settle()
    assert all("deletionTimestamp" in pod["metadata"] for pod in cluster.pods("Running"))
    for _ in range(2):  # those that run, then those that have ended
        cluster.kubelet()
        cluster.settle()
    assert (state(cluster), cluster.names()) == (State.SUSPENDED, ["arc-easy-1-1"])


def test_the_end_of_a_rank_is_seen_whatever_stands_in_the_way_of_its_peers() -> None:
    cluster = _in_the_place_of_a_second_rank()
    cluster.end(cluster.pod("arc-easy-1-0"), Outcome.CONFIG_INVALID)
    cluster.settle()
    assert cluster.status.failure is not None
    assert (state(cluster), cluster.status.failure.reason) == (State.FAILED, "ConfigInvalid")


def test_suspending_does_not_wait_for_the_next_try_at_a_quota() -> None:
    cluster = FakeCluster(inline_job())
    cluster.settle()
    del cluster.objects["Pod", "arc-easy-0-1"]
    cluster.refuse(403, "exceeded quota: compute", name="arc-easy-0-1")
    cluster.edit(suspend=True)
    cluster.settle()
    cluster.kubelet()
    cluster.settle()
    assert state(cluster) == State.SUSPENDED


def _in_the_place_of_a_second_rank() -> FakeCluster:
    """A job whose second attempt runs its rank 0, while somebody else's pod has the name of rank 1."""
    cluster = failed_over(FakeCluster(inline_job()))
    cluster.settle()
    body = cluster.pod("arc-easy-1-1")
    strangers = {"name": "arc-easy-1-1", "uid": "other", "labels": {**body["metadata"]["labels"], JOB_UID_LABEL: "x"}}
    cluster.objects["Pod", "arc-easy-1-1"] = {**body, "metadata": strangers}
    cluster.run(cluster.pod("arc-easy-1-0"))
    cluster.settle()
    assert state(cluster) == State.STALLED
    return cluster
