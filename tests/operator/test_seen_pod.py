"""What is read from the body of a pod."""

from datetime import UTC, datetime
from typing import Any

import pytest

from finetune_api.names import prepare_pod_labels, training_pod_labels
from finetune_api.outcomes import Outcome, TerminationMessage
from finetune_operator.seen_pod import SeenPod, seen_pod


def body(status: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    """The pod of node 1 in attempt 2."""
    labels = training_pod_labels("arc", "uid", 2, 1)
    return {"metadata": {"name": "arc-2-1", "uid": "pod-uid", "labels": labels, **metadata}, "status": status}


def seen(status: dict[str, Any], **metadata: Any) -> SeenPod:
    """The same as it is read."""
    pod = seen_pod(body(status, **metadata))
    assert pod is not None
    return pod


def ended(name: str, code: int, message: str = "", reason: str = "Error") -> dict[str, Any]:
    """The status of a container that has ended."""
    end = {"exitCode": code, "message": message, "reason": reason, "finishedAt": "2026-01-01T00:00:05Z"}
    return {"name": name, "state": {"terminated": end}}


def test_a_pod_is_placed_by_its_labels() -> None:
    pod = seen({"phase": "Running", "podIP": "10.0.0.7"})
    assert (pod.attempt, pod.rank, pod.uid, pod.ip, pod.running) == (2, 1, "pod-uid", "10.0.0.7", True)
    labels = prepare_pod_labels("arc", "uid")
    prepare = seen_pod({"metadata": {"name": "arc-prepare", "labels": labels}, "status": {}})
    assert prepare is not None
    assert (prepare.attempt, prepare.phase) == (None, "Pending")


def test_the_start_of_the_main_container_is_known_while_it_runs_and_afterwards() -> None:
    at, helper = "2026-01-01T00:00:02Z", {"name": "proxy", "state": {"running": {"startedAt": "2026-01-01T00:00:01Z"}}}
    for state in ({"running": {"startedAt": at}}, {"terminated": {"exitCode": 1, "startedAt": at}}):
        pod = seen({"phase": "Running", "containerStatuses": [{"name": "trainer", "state": state}, helper]})
        assert pod.started == datetime(2026, 1, 1, 0, 0, 2, tzinfo=UTC)
    assert (
        seen({"phase": "Pending", "containerStatuses": [{"name": "trainer", "state": {"waiting": {}}}]}).started is None
    )


def test_pods_without_our_labels_are_nobody_s() -> None:
    assert seen_pod({"metadata": {"name": "other"}}) is None


def test_the_trainers_last_words_are_read_and_those_of_sidecars_are_not() -> None:
    told = TerminationMessage(outcome=Outcome.DIVERGED, message="loss is NaN", step=7).to_json()
    pod = seen({"phase": "Failed", "containerStatuses": [ended("aaa-sidecar", 1), ended("trainer", 7, told)]})
    assert pod.message is not None
    assert (pod.message.outcome, pod.exit_code, pod.message.step) == (Outcome.DIVERGED, 7, 7)


def test_a_failed_fetch_decides_over_a_container_that_never_ran() -> None:
    status = {"phase": "Failed", "initContainerStatuses": [ended("fetch", 5)], "containerStatuses": []}
    assert seen(status).exit_code == 5


def test_garbage_in_a_termination_message_is_no_message() -> None:
    pod = seen({"phase": "Failed", "containerStatuses": [ended("trainer", 1, '{"outcome": "Won')]})
    assert pod.message is None
    assert pod.failed


@pytest.mark.parametrize(
    ("waiting", "reason"),
    [("ImagePullBackOff", "ImageUnavailable"), ("CreateContainerConfigError", "ObjectMissing")],
)
def test_what_a_container_waits_for_is_told_in_the_kubelets_words(waiting: str, reason: str) -> None:
    state = {"name": "trainer", "state": {"waiting": {"reason": waiting, "message": "no such thing"}}}
    pod = seen({"phase": "Pending", "containerStatuses": [state]})
    assert pod.wait is not None
    assert (pod.wait.reason, pod.wait.message) == (reason, "no such thing")


def test_what_cannot_be_placed_is_told_in_the_schedulers_words() -> None:
    condition = {"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available"}
    pod = seen({"phase": "Pending", "conditions": [condition]})
    assert pod.wait is not None
    assert (pod.wait.reason, pod.wait.message) == ("Unschedulable", "0/3 nodes are available")


def test_a_container_that_is_being_created_is_not_held_up() -> None:
    creating = {"name": "trainer", "state": {"waiting": {"reason": "ContainerCreating"}}}
    assert seen({"phase": "Pending", "containerStatuses": [creating]}).wait is None


@pytest.mark.parametrize("reason", ["OutOfcpu", "OutOfnvidia.com/gpu", "UnexpectedAdmissionError", "NodeAffinity"])
def test_a_pod_that_its_node_refuses_is_rejected(reason: str) -> None:
    assert seen({"phase": "Failed", "reason": reason}).rejected
    assert not seen({"phase": "Failed", "reason": "Evicted"}).rejected


def test_pods_are_removed_by_deletion_eviction_and_disruption() -> None:
    target = {"type": "DisruptionTarget", "status": "True"}
    assert seen({"phase": "Running"}, deletionTimestamp="2026-01-01T00:00:00Z").removed
    assert seen({"phase": "Failed", "reason": "Evicted"}).removed
    assert seen({"phase": "Failed", "conditions": [target]}).removed
    assert seen({"phase": "Failed", "conditions": [{"type": "TerminationTarget", "status": "True"}]}).removed
    assert not seen({"phase": "Failed"}).removed


def test_a_pod_in_a_queue_says_so() -> None:
    condition = {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated", "message": "gated"}
    pod = seen({"phase": "Pending", "conditions": [condition]})
    assert pod.wait is not None
    assert (pod.wait.reason, pod.wait.message) == ("Queued", "gated")


@pytest.mark.parametrize(
    ("ready", "containers", "stranded"),
    [("False", "True", True), ("False", "False", False), ("True", "True", False)],
    ids=["the node controller", "the kubelet", "ready"],
)
def test_only_a_node_controller_says_unready_of_a_pod_with_ready_containers(
    ready: str, containers: str, stranded: bool
) -> None:
    conditions = [{"type": "Ready", "status": ready}, {"type": "ContainersReady", "status": containers}]
    assert seen({"phase": "Running", "conditions": conditions}).stranded is stranded


def test_the_image_is_that_of_our_own_container() -> None:
    statuses = [{"name": "aaa-sidecar", "imageID": "other@sha256:1"}, {"name": "trainer", "imageID": "own@sha256:2"}]
    assert seen({"phase": "Running", "containerStatuses": statuses}).image == "own@sha256:2"


def test_a_pod_waits_for_its_volumes_from_its_placement_until_its_sandbox_runs() -> None:
    def mounting(node: str | None, *conditions: dict[str, str]) -> bool:
        pod = seen_pod({**body({"phase": "Pending", "conditions": conditions}), "spec": {"nodeName": node}})
        return pod is not None and pod.mounting

    assert mounting("node-0")
    assert mounting("node-0", {"type": "PodReadyToStartContainers", "status": "False"})
    assert not mounting("node-0", {"type": "PodReadyToStartContainers", "status": "True"})
    assert not mounting(None)
