"""What is seen around a job is sorted by whose it is."""

from typing import Any

import pytest

from finetune_api.names import job_labels, prepare_pod_labels, training_pod_labels
from finetune_operator.observed import NodeState, SeenJob, Surroundings, content_hash, node_state, observe
from support.operator_jobs import job


def seen_job() -> SeenJob:
    """A job that nobody has looked at."""
    body = job()
    body["metadata"] |= {"uid": "job-uid", "namespace": "team", "generation": 3}
    return SeenJob.of(body)


def pod(attempt: int, rank: int, owner: str = "job-uid", **status: Any) -> dict[str, Any]:
    """A pod, as an item of a list: without its kind."""
    labels = training_pod_labels("arc-easy", owner, attempt, rank)
    metadata = {"name": f"arc-easy-{attempt}-{rank}", "uid": f"{attempt}-{rank}", "labels": labels}
    return {"metadata": metadata | {"ownerReferences": [{"uid": owner}]}, "spec": {"nodeName": "a"}, "status": status}


def test_pods_are_sorted_by_attempt_and_rank() -> None:
    seen = observe(seen_job(), Surroundings(pods=[pod(10, 0), pod(2, 1), pod(2, 0)]))
    assert [one.name for one in seen.pods] == ["arc-easy-2-0", "arc-easy-2-1", "arc-easy-10-0"]
    assert [one.rank for one in seen.of_attempt(2)] == [0, 1]


def test_children_of_another_uid_are_not_ours() -> None:
    seen = observe(seen_job(), Surroundings(pods=[pod(0, 0, owner="older-uid")]))
    assert seen.pods == ()
    assert [(one.kind, one.name) for one in seen.foreign] == [("Pod", "arc-easy-0-0")]


def test_a_retained_claim_is_known_by_its_label() -> None:
    metadata = {"name": "arc-easy-output", "labels": job_labels("arc-easy", "job-uid")}
    seen = observe(seen_job(), Surroundings(children=[{"kind": "PersistentVolumeClaim", "metadata": metadata}]))
    assert seen.has("PersistentVolumeClaim", "arc-easy-output")


def test_the_last_words_of_a_pod_that_is_gone_are_kept_until_its_name_is_taken_again() -> None:
    around = Surroundings(pods=[pod(0, 1)], gone_pods=[pod(0, 0, phase="Failed"), pod(0, 1, phase="Failed")])
    assert [(one.rank, one.gone) for one in observe(seen_job(), around).pods] == [(0, True), (1, False)]


@pytest.mark.parametrize(
    ("node", "state"),
    [
        ({"status": {"conditions": [{"type": "Ready", "status": "True"}]}}, NodeState.READY),
        ({"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}}, NodeState.NOT_READY),
        ({"spec": {"taints": [{"key": "node.kubernetes.io/out-of-service"}]}}, NodeState.OUT_OF_SERVICE),
    ],
)
def test_a_node_tells_its_state(node: dict[str, Any], state: NodeState) -> None:
    assert node_state(node) is state


def test_a_pod_is_lost_with_its_node_unless_it_has_ended_or_nodes_are_not_watched() -> None:
    running, ended = pod(0, 0, phase="Running"), pod(0, 1, phase="Failed")
    gone = observe(seen_job(), Surroundings(pods=[running, ended], nodes=[]))
    assert [gone.lost(one) for one in gone.pods] == [True, False]
    unwatched = observe(seen_job(), Surroundings(pods=[running]))
    assert not unwatched.lost(unwatched.pods[0])


def test_the_hash_of_code_depends_on_its_content_alone() -> None:
    one, other = {"data": {"a": "1", "b": "2"}}, {"data": {"b": "2", "a": "1"}, "metadata": {"resourceVersion": "9"}}
    assert content_hash(one) == content_hash(other)
    assert content_hash(one) != content_hash({"data": {"a": "1"}})


def test_where_nodes_are_not_watched_a_pod_tells_that_its_node_is_lost() -> None:
    said = [{"type": "Ready", "status": "False"}, {"type": "ContainersReady", "status": "True"}]
    bodies = [pod(0, 0, phase="Running", conditions=said), pod(0, 1, phase="Running")]
    seen = observe(seen_job(), Surroundings(pods=bodies))
    assert [seen.node_state(one) for one in seen.pods] == [NodeState.NOT_READY, NodeState.READY]
    assert [seen.lost(one) for one in seen.pods] == [True, False]


def test_a_pod_that_prepared_is_remembered_after_it_is_gone() -> None:
    body = pod(0, 0, phase="Failed")
    body["metadata"] |= {"name": "arc-easy-prepare", "labels": prepare_pod_labels("arc-easy", "job-uid")}
    seen = observe(seen_job(), Surroundings(gone_pods=[body]))
    assert seen.prepare_pod is not None
    assert seen.prepare_pod.gone
    assert not seen.exists("Pod", "arc-easy-prepare")
