"""Bodies of jobs in a cluster at moments of their lives, with the statuses that the operator writes."""

from datetime import datetime, timedelta
from typing import Any

from finetune_api.outcomes import Outcome
from finetune_cli.cluster.job_view import JobView
from support.fake_cluster import BEGIN, FakeCluster, written
from support.operator_jobs import inline_job, job, running

Body = dict[str, Any]
NOW = BEGIN + timedelta(minutes=10)
UID = "0b9f5cf2-0000-4000-8000-000000000000"

PROGRESS = {
    "step": 12,
    "totalSteps": 40,
    "epoch": 0.3,
    "loss": 1.23456,
    "evalLoss": 1.5,
    "tokensPerSecond": 410.4,
    "percent": 30,
    "estimatedCompletionTime": written(NOW + timedelta(seconds=185)),
    "lastCheckpointStep": 10,
    "lastStepTime": written(NOW - timedelta(seconds=4)),
}


def body_of(cluster: FakeCluster, **status: Any) -> Body:
    """The job as an API server holds it, with further fields of its status."""
    body = dict(cluster.job)
    body["metadata"] = body["metadata"] | {"uid": UID, "creationTimestamp": written(BEGIN)}
    body["status"] = {**body.get("status", {}), **status}
    return body


def new() -> Body:
    """Nobody has looked at it yet."""
    return body_of(FakeCluster(job()), observedGeneration=-1)


def preparing() -> Body:
    """Its data is being prepared."""
    cluster = FakeCluster(job())
    running(cluster)
    return body_of(cluster)


def failed_to_prepare(outcome: Outcome = Outcome.DATASET_INVALID) -> Body:
    """Its data cannot be used."""
    cluster = FakeCluster(job())
    running(cluster)
    cluster.end(cluster.pods()[0], outcome)
    cluster.settle()
    return body_of(cluster)


def training(attempts: int = 1, **status: Any) -> Body:
    """Its newest attempt runs; those before it crashed."""
    cluster = _training(attempts)
    return body_of(cluster, **{"progress": PROGRESS, **status})


def complete() -> Body:
    """It has ended well."""
    cluster = _training(1)
    for pod in cluster.pods("Running"):
        cluster.end(pod, Outcome.SUCCEEDED, step=40)
    cluster.settle()
    return body_of(cluster, progress=PROGRESS | {"step": 40, "percent": 100})


def failed(outcome: Outcome = Outcome.DIVERGED) -> Body:
    """A rank has said why it cannot go on."""
    cluster = _training(1)
    cluster.end(cluster.pods("Running")[1], outcome, rank=1, step=7)
    cluster.settle()
    cluster.kubelet()
    cluster.settle()
    return body_of(cluster)


def suspended() -> Body:
    """It waits for its owner."""
    cluster = FakeCluster(inline_job(runPolicy={"suspend": True}))
    cluster.settle()
    return body_of(cluster)


def view(body: Body) -> JobView:
    """The job as the command reads it."""
    return JobView.of(body)


def at(seconds: float) -> datetime:
    """A moment after `NOW`."""
    return NOW + timedelta(seconds=seconds)


def _training(attempts: int) -> FakeCluster:
    cluster = FakeCluster(inline_job())
    running(cluster)
    for _ in range(attempts - 1):
        cluster.exit(cluster.pods("Running")[0], 1)
        cluster.settle()
        cluster.kubelet()
        cluster.wait(30)
        running(cluster)
    return cluster
