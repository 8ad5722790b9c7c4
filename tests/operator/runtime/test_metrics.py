"""What is counted of jobs, without a series for any one of them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import generate_latest

from finetune_api.reasons import AttemptOutcome
from finetune_api.status import AttemptStatus, JobStatus, ProgressStatus
from finetune_operator.observed import SeenJob
from finetune_operator.runtime.metrics import Metrics, gpus_per_node
from finetune_operator.runtime.slim import slim_job
from finetune_operator.runtime.store import Store
from finetune_operator.runtime.work_queue import WorkQueue

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
RESOURCES = {"limits": {"nvidia.com/gpu": 4, "memory": "1Gi"}}


def job(status: JobStatus | None = None) -> SeenJob:
    """A job with four GPUs on each node."""
    metadata = {"name": "arc-easy", "namespace": "team", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"}
    body: dict[str, Any] = {"metadata": metadata, "spec": {"resources": RESOURCES}}
    return SeenJob.of(body | {"status": (status or JobStatus()).to_json()})


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    """What Prometheus would read."""
    return metrics.registry.get_sample_value(name, labels)


def after(seconds: float) -> datetime:
    """A moment after the job's creation."""
    return BEGAN + timedelta(seconds=seconds)


def test_the_end_of_an_attempt_counts_its_outcome_and_the_seconds_of_its_gpus_once() -> None:
    metrics = Metrics()
    attempt = AttemptStatus(number=0, nodes=2, start_time=after(0))
    end = {"end_time": after(10), "outcome": AttemptOutcome.FAILURE, "reason": "OutOfMemory"}
    ended = attempt.model_copy(update=end)
    metrics.status_written(job(JobStatus(attempts=(attempt,))), JobStatus(attempts=(ended,)))
    metrics.status_written(job(JobStatus(attempts=(ended,))), JobStatus(attempts=(ended,)))
    assert value(metrics, "finetune_operator_attempts_ended_total", outcome="Failure", reason="OutOfMemory") == 1
    assert value(metrics, "finetune_operator_gpu_seconds_total", outcome="Failure") == 10 * 4 * 2


@pytest.mark.parametrize(
    ("reason", "counted"),
    [("NodeLost", "NodeLost"), ("DeadlineExceeded", "DeadlineExceeded"), ("Zzz1234", "Other"), (None, "Other")],
)
def test_a_reason_that_a_pod_made_up_has_no_series_of_its_own(reason: str | None, counted: str) -> None:
    metrics = Metrics()
    ended = AttemptStatus(number=0, nodes=1, outcome=AttemptOutcome.FAILURE, reason=reason)
    metrics.status_written(job(), JobStatus(attempts=(ended,)))
    assert value(metrics, "finetune_operator_attempts_ended_total", outcome="Failure", reason=counted) == 1


def test_the_way_to_the_first_step_is_measured_from_the_jobs_creation() -> None:
    metrics = Metrics()
    attempt = AttemptStatus(number=0, nodes=1, start_time=after(2))
    progress = ProgressStatus(step=1, last_step_time=after(9))
    steps = (
        JobStatus(attempts=(attempt,)),
        JobStatus(attempts=(attempt,), running_time=after(5)),
        JobStatus(attempts=(attempt,), running_time=after(5), progress=progress),
    )
    before = JobStatus()
    for step in steps:
        metrics.status_written(job(before), step)
        before = step
    waits = {until: value(metrics, "finetune_operator_job_wait_seconds_sum", until=until) for until in WAITS}
    assert waits == {"pods": 2, "running": 5, "first_step": 9}


WAITS = ("pods", "running", "first_step")


def test_no_series_bears_the_name_of_a_job() -> None:
    metrics, jobs, queue = Metrics(), Store(slim_job), WorkQueue[str]("jobs")
    jobs.put(
        {"metadata": {"name": "secret-job", "namespace": "secret-team", "uid": "u"}, "status": {"state": "Running"}}
    )
    metrics.watch_jobs(jobs)
    metrics.watch_queue(queue)
    metrics.watch_requests(lambda: {("patch", "finetunejobs"): 3})
    metrics.reconciled("success", 0.1)
    metrics.leads(True)
    text = generate_latest(metrics.registry).decode()
    assert "secret" not in text
    assert value(metrics, "finetune_operator_jobs", state="Running") == 1
    assert value(metrics, "finetune_operator_jobs", state="Failed") == 0
    assert value(metrics, "finetune_operator_api_requests_total", verb="patch", resource="finetunejobs") == 3


@pytest.mark.parametrize(
    ("resources", "gpus"),
    [
        ({}, 0),
        ({"requests": {"amd.com/gpu": "2"}}, 2),
        ({"requests": {"nvidia.com/gpu": 8}, "limits": {"nvidia.com/gpu": 8}}, 8),
        ({"limits": {"nvidia.com/gpu": "many"}}, 0),
    ],
)
def test_gpus_are_counted_in_a_spec_that_nobody_has_judged(resources: dict[str, Any], gpus: int) -> None:
    assert gpus_per_node({"spec": {"resources": resources}}) == gpus
