"""The objects of a soak: its jobs, and what they stand on."""

from typing import Any, Final

from cluster.simulated_nodes import HOLD
from soak.happenings import Body
from soak.pods import NAMESPACE
from soak.script import Ending, Story

JOBS: Final = f"/apis/finetune.dev/v1alpha1/namespaces/{NAMESPACE}/finetunejobs"
DEADLINE: Final = 4
"""Seconds, of jobs that are about one."""
_GRACE: Final = 3
CAUSE_WINDOW: Final = 5
"""Seconds; longer than in a cluster, so that on a busy machine too a cause can be told in time after its echo."""
_CLAIM: Final = "results"


def job(story: Story) -> Body:
    """Return the job of a story."""
    spec: Body = {
        "config": _config(story),
        "nodes": story.nodes,
        "output": {"volume": {"persistentVolumeClaim": {"claimName": _CLAIM}}, "subPath": story.name},
        "prepare": {"mode": "Pod" if story.prepares else "Inline"},
        "resources": {"requests": {"cpu": "10m", "memory": "10Mi"}},
        "runPolicy": {"maxRestarts": story.max_restarts, "gracePeriodSeconds": _GRACE, "suspend": story.born_suspended},
    }
    if story.elastic:
        spec["elastic"] = {"minNodes": 1, "maxNodes": 4}
    if story.ending is Ending.OVERTIME:
        spec["runPolicy"]["activeDeadlineSeconds"] = DEADLINE
    if story.ending is Ending.UNPLACEABLE:
        spec["runPolicy"]["pendingDeadlineSeconds"] = DEADLINE
        nowhere = {"nodeSelector": {"kubernetes.io/hostname": "nowhere"}}
        spec["scheduling"] = nowhere
        spec["prepare"]["nodeSelector"] = nowhere["nodeSelector"]
    return {
        "apiVersion": "finetune.dev/v1alpha1",
        "kind": "FinetuneJob",
        "metadata": {"name": story.name, "namespace": NAMESPACE},
        "spec": spec,
    }


def _config(story: Story) -> Body:
    dataset = {"hf_name": "json", "hf_kwargs": {"data_dir": "/output/data"}}
    config: Body = {
        "model": {"name": "hf_causal_lm", "pretrained_model_name_or_path": "/model", "pretrained": False},
        "tokenizer": {"name": "/model"},
        "train_loader": {"name": "finetuning", "dataset": dataset},
        "optimizer": {"name": "decoupled_adamw", "lr": 1e-3},
        "scheduler": {"name": "constant_with_warmup", "t_warmup": "0ba"},
        "max_duration": "1ep",
        "max_seq_len": 128,
        "global_train_batch_size": 12,
    }
    if story.ending is Ending.CONFIG_MISTAKE:
        config["optimizer"]["lrr"] = config["optimizer"].pop("lr")
    return config


def volume() -> list[tuple[str, Body]]:
    """Return paths and bodies of the namespace, and of one volume for all jobs that no node really mounts."""
    access: Body = {"accessModes": ["ReadWriteMany"], "storageClassName": ""}
    size = {"storage": "1Gi"}
    claimed = {"namespace": NAMESPACE, "name": _CLAIM}
    disk = {**access, "hostPath": {"path": "/nowhere"}, "capacity": size, "claimRef": claimed}
    claim = {**access, "volumeName": _CLAIM, "resources": {"requests": size}}
    named: dict[str, Any] = {"metadata": {"name": _CLAIM}}
    return [
        ("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}}),
        ("/api/v1/persistentvolumes", {**named, "spec": disk}),
        (f"/api/v1/namespaces/{NAMESPACE}/persistentvolumeclaims", {**named, "spec": claim}),
    ]


def quota() -> Body:
    """Return a quota that leaves no room for another pod."""
    return {"metadata": {"name": "full"}, "spec": {"hard": {"pods": "0"}}}


def settings(progress_port: int, free_limit: int) -> Body:
    """Return the operator's settings: those of a cluster, with shorter waits."""
    timing = {"survivorGrace": 2, "backoffBase": 1, "backoffMost": 1, "refusalRetry": 2, "causeWindow": CAUSE_WINDOW}
    pods = {"annotations": {HOLD: "until it has ended"}}
    network = {"progressPort": progress_port}
    return {"fruitlessDisruptions": free_limit, "network": network, "pods": pods, "timing": timing}
