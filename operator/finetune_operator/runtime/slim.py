"""Cuts objects down to what decisions depend on, so that a thousand jobs fit into little memory."""

from collections.abc import Mapping
from typing import Any, Final

from finetune_api.job import GROUP

Body = dict[str, Any]

_METADATA: Final = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp", "deletionTimestamp")
_OWN_LABELS: Final = f"{GROUP}/"
_EXPLAINED: Final = ("PodScheduled", "DisruptionTarget")
"""Conditions of a pod whose words are told to people; of the others the status alone counts."""
_OF_STATES: Final = {
    "running": ("startedAt",),
    "terminated": ("exitCode", "finishedAt", "message", "reason", "startedAt"),
    "waiting": ("message", "reason"),
}
"""What is kept of the states of containers."""
_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"


def slim_job(body: Mapping[str, Any]) -> Body:
    """Return a job without what others keep in its metadata."""
    metadata = {key: value for key, value in body["metadata"].items() if key != "managedFields"}
    if _APPLIED in (metadata.get("annotations") or {}):
        metadata["annotations"] = {key: value for key, value in metadata["annotations"].items() if key != _APPLIED}
    return {**body, "metadata": metadata}


def slim_child(body: Mapping[str, Any]) -> Body:
    """Return what tells whose object this is."""
    metadata = body["metadata"]
    slim = {key: metadata[key] for key in _METADATA if key in metadata}
    labels = {key: value for key, value in (metadata.get("labels") or {}).items() if key.startswith(_OWN_LABELS)}
    owners = [{"uid": owner.get("uid")} for owner in metadata.get("ownerReferences") or []]
    kinds = {key: body[key] for key in ("apiVersion", "kind") if key in body}
    return {**kinds, "metadata": {**slim, "labels": labels, "ownerReferences": owners}}


def slim_pod(body: Mapping[str, Any]) -> Body:
    """Return what `seen_pod` reads, and what tells whose pod this is."""
    status = body.get("status") or {}
    said = {key: status[key] for key in ("phase", "podIP", "reason", "message") if key in status}
    return {
        **slim_child(body),
        "kind": "Pod",
        "spec": {"nodeName": (body.get("spec") or {}).get("nodeName")},
        "status": {
            **said,
            "conditions": [_condition(one) for one in status.get("conditions") or []],
            "initContainerStatuses": _containers(status.get("initContainerStatuses")),
            "containerStatuses": _containers(status.get("containerStatuses")),
        },
    }


def slim_node(body: Mapping[str, Any]) -> Body:
    """Return what tells whether pods on this node can be trusted to run."""
    spec, status = body.get("spec") or {}, body.get("status") or {}
    metadata = {key: body["metadata"][key] for key in _METADATA if key in body["metadata"]}
    ready = [one for one in status.get("conditions") or [] if one.get("type") == "Ready"]
    conditions = [{"type": "Ready", "status": one.get("status")} for one in ready]
    taints = [{"key": taint.get("key")} for taint in spec.get("taints") or []]
    return {"kind": "Node", "metadata": metadata, "spec": {"taints": taints}, "status": {"conditions": conditions}}


def _condition(condition: Mapping[str, Any]) -> Body:
    explained = ("type", "status", "reason", "message", "lastTransitionTime")
    keys = explained if condition.get("type") in _EXPLAINED else ("type", "status")
    return {key: condition[key] for key in keys if key in condition}


def _containers(statuses: Any) -> list[Body]:
    """Container states without mounts, restarts and the end before the last."""
    return [
        {"name": one.get("name"), "imageID": one.get("imageID"), "state": _state(one.get("state") or {})}
        for one in statuses or []
    ]


def _state(state: Mapping[str, Any]) -> Body:
    return {
        kind: {key: state[kind][key] for key in keys if key in state[kind]}
        for kind, keys in _OF_STATES.items()
        if kind in state
    }
