"""What is kept of an object is what decisions are made of, and nothing else."""

from typing import Any

from finetune_operator.runtime.slim import slim_child, slim_job, slim_node, slim_pod
from finetune_operator.seen_pod import seen_pod

METADATA: dict[str, Any] = {"name": "arc-easy-0-1", "namespace": "team", "uid": "u", "resourceVersion": "7"}
LABELS = {"finetune.dev/attempt": "0", "finetune.dev/rank": "1", "finetune.dev/role": "trainer"}


def test_a_job_keeps_all_but_who_wrote_which_field_and_what_was_applied() -> None:
    applied = {"kubectl.kubernetes.io/last-applied-configuration": "{}", "team": "nlp"}
    metadata = METADATA | {"managedFields": [{"manager": "kubectl"}], "annotations": applied}
    body = {"kind": "FinetuneJob", "metadata": metadata, "spec": {"nodes": 2}, "status": {"state": "Running"}}
    slim = slim_job(body)
    assert slim["metadata"] == METADATA | {"annotations": {"team": "nlp"}}
    assert (slim["spec"], slim["status"]) == (body["spec"], body["status"])
    assert metadata["managedFields"]  # what was given is left as it was


def test_a_pod_reads_the_same_before_and_after() -> None:
    ended = {
        "exitCode": 1,
        "finishedAt": "2026-01-01T00:00:00Z",
        "message": "",
        "reason": "OOMKilled",
        "startedAt": "2026-01-01T00:00:00Z",
    }
    body = {
        "metadata": METADATA | {"labels": LABELS | {"team": "nlp"}, "managedFields": [{}]},
        "spec": {"nodeName": "node-1", "containers": [{"name": "trainer", "env": []}]},
        "status": {
            "phase": "Failed",
            "podIP": "10.0.0.7",
            "conditions": [
                {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"},
                {"type": "Ready", "status": "False", "message": "not kept"},
            ],
            "containerStatuses": [{"name": "trainer", "imageID": "i@sha256:1", "state": {"terminated": ended}}],
        },
    }
    slim = slim_pod(body)
    assert seen_pod(slim) == seen_pod(body)
    assert "not kept" not in str(slim)
    assert "containers" not in slim["spec"]
    assert slim["metadata"]["labels"] == LABELS


def test_of_other_children_their_owner_is_known() -> None:
    owned = METADATA | {"labels": {"app": "x"}, "ownerReferences": [{"uid": "job", "kind": "FinetuneJob"}]}
    slim = slim_child({"apiVersion": "v1", "kind": "Service", "metadata": owned, "spec": {"ports": []}})
    assert slim == {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": METADATA | {"labels": {}, "ownerReferences": [{"uid": "job"}]},
    }


def test_of_a_node_it_is_known_whether_it_is_ready_and_in_service() -> None:
    taints = [{"key": "node.kubernetes.io/out-of-service", "effect": "NoExecute"}]
    conditions = [{"type": "Ready", "status": "True", "lastHeartbeatTime": "t"}, {"type": "DiskPressure"}]
    slim = slim_node({"metadata": {"name": "n"}, "spec": {"taints": taints}, "status": {"conditions": conditions}})
    assert slim["spec"] == {"taints": [{"key": "node.kubernetes.io/out-of-service"}]}
    assert slim["status"] == {"conditions": [{"type": "Ready", "status": "True"}]}
