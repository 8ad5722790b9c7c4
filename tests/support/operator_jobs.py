"""Jobs for tests of the operator."""

from typing import Any

from finetune_api.reasons import State
from support.configs import manifest, training
from support.fake_cluster import FakeCluster


def local_training(**changes: Any) -> dict[str, Any]:
    """A configuration that fetches nothing."""
    model = {"name": "hf_causal_lm", "pretrained_model_name_or_path": "/model", "pretrained": False}
    return training(model=model, tokenizer={"name": "/model"}, **changes)


def job(**spec: Any) -> dict[str, Any]:
    """A job of two pods that prepares in a pod of its own, unless `spec` says otherwise."""
    return manifest(local_training(), **{"nodes": 2, **spec})


def inline_job(**spec: Any) -> dict[str, Any]:
    """A job of two pods whose rank 0 prepares."""
    return job(prepare={"mode": "Inline"}, **spec)


def state(cluster: FakeCluster) -> State | None:
    """The one word for the job."""
    return cluster.status.state


def running(cluster: FakeCluster) -> FakeCluster:
    """The same cluster once all pods of the newest attempt run."""
    cluster.settle()
    cluster.run_all()
    cluster.settle()
    return cluster


def failed_over(cluster: FakeCluster, times: int = 1, code: int = 1) -> FakeCluster:
    """The same cluster after so many attempts were ended by a crash and their pods have gone."""
    for _ in range(times):
        running(cluster)
        cluster.exit(cluster.pods("Running")[0], code)
        cluster.settle()
        cluster.kubelet()
    return cluster
