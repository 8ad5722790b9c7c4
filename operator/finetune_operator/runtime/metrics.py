"""The operator's own metrics; no series bears the name of a job."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Final

from prometheus_client import CollectorRegistry, Gauge, Histogram
from prometheus_client import Counter as Count
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from finetune_api.outcomes import Outcome
from finetune_api.reasons import REASONS, AttemptOutcome, ConditionType, State
from finetune_api.status import AttemptStatus, JobStatus
from finetune_operator.attempts import REASONS_OF_ENDS
from finetune_operator.children.blueprint import gpus_in
from finetune_operator.observed import SeenJob
from finetune_operator.runtime.store import Store
from finetune_operator.runtime.work_queue import WorkQueue
from finetune_operator.seen_pod import moment

_LATENCY: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_WAIT: Final = (0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200)

REASONS_COUNTED: Final = frozenset(
    [
        *map(str, (*Outcome, *AttemptOutcome)),
        *REASONS_OF_ENDS,
        *(str(row.name) for row in REASONS if row.condition is ConditionType.FAILED),
    ]
)
"""Reasons with a series of their own: a pod may write any word into its last words, and each would stay for ever."""
_OTHER: Final = "Other"


class Metrics:
    """Counts what happens; `registry` is what Prometheus reads."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._rounds = Histogram(
            "finetune_operator_reconcile_seconds", "Time of one reconcile.", ["result"],
            buckets=_LATENCY, registry=self.registry,
        )  # fmt: skip
        self._restarts = Count(
            "finetune_operator_attempts_ended", "Attempts that ended, by outcome and reason.", ["outcome", "reason"],
            registry=self.registry,
        )  # fmt: skip
        self._gpu_seconds = Count(
            "finetune_operator_gpu_seconds", "Seconds that GPUs were held by attempts, by outcome.", ["outcome"],
            registry=self.registry,
        )  # fmt: skip
        self._until = Histogram(
            "finetune_operator_job_wait_seconds", "Time from a job's creation until a milestone.", ["until"],
            buckets=_WAIT, registry=self.registry,
        )  # fmt: skip
        self._leader = Gauge("finetune_operator_leader", "1 while this process leads.", registry=self.registry)
        self._watch_restarts = Count(
            "finetune_operator_watch_restarts", "Times that the watches had to be started anew.", registry=self.registry
        )

    def leads(self, leads: bool) -> None:
        """Note whether this process leads."""
        self._leader.set(1 if leads else 0)

    def watch_restarted(self) -> None:
        """Note that the watches ended without being asked to."""
        self._watch_restarts.inc()

    def reconciled(self, result: str, seconds: float) -> None:
        """Note one reconcile."""
        self._rounds.labels(result).observe(seconds)

    def status_written(self, job: SeenJob, after: JobStatus) -> None:
        """Note what a new status tells that the old one did not."""
        known = {attempt.number: attempt for attempt in job.status.attempts}
        for attempt in after.attempts:
            before = known.get(attempt.number)
            if attempt.outcome is not None and (before is None or before.outcome is None):
                self._ended(attempt, gpus_per_node(job.document))
        for name, reached in _milestones(job.status, after):
            created = moment((job.document.get("metadata") or {}).get("creationTimestamp"))
            if created is not None:
                self._until.labels(name).observe(max(0.0, (reached - created).total_seconds()))

    def watch_queue(self, queue: WorkQueue[Any]) -> None:
        """Show the depth and the retries of a queue."""
        self.registry.register(_Queue(queue))

    def watch_jobs(self, jobs: Store) -> None:
        """Show how many jobs are in which state."""
        self.registry.register(_Jobs(jobs))

    def watch_requests(self, requests: Callable[[], dict[tuple[str, str], int]]) -> None:
        """Show the requests to the API server."""
        self.registry.register(_Requests(requests))

    def _ended(self, attempt: AttemptStatus, gpus: int) -> None:
        outcome = str(attempt.outcome)
        self._restarts.labels(outcome, attempt.reason if attempt.reason in REASONS_COUNTED else _OTHER).inc()
        if attempt.start_time is not None and attempt.end_time is not None:
            held = max(0.0, (attempt.end_time - attempt.start_time).total_seconds())
            self._gpu_seconds.labels(outcome).inc(held * gpus * attempt.nodes)


def gpus_per_node(document: Any) -> int:
    """Return the GPUs of one node in a spec that nobody has judged; 0 for what cannot be read."""
    resources = (document.get("spec") or {}).get("resources") or {}
    return gpus_in(resources.get("requests") or {}, resources.get("limits") or {})


def _milestones(before: JobStatus, after: JobStatus) -> Iterator[tuple[str, datetime]]:
    if not any(one.start_time for one in before.attempts) and after.attempts and after.attempts[0].start_time:
        yield "pods", after.attempts[0].start_time
    if before.running_time is None and after.running_time is not None:
        yield "running", after.running_time
    stepped = bool(before.progress and before.progress.step)
    if not stepped and after.progress and after.progress.step and after.progress.last_step_time:
        yield "first_step", after.progress.last_step_time


class _Queue(Collector):
    def __init__(self, queue: WorkQueue[Any]) -> None:
        self._queue = queue

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("finetune_operator_queue_depth", "Jobs that wait for a worker.", value=len(self._queue))
        yield GaugeMetricFamily("finetune_operator_queue_timers", "Jobs that come back later.", value=self._queue.later)
        yield CounterMetricFamily(
            "finetune_operator_queue_retries", "Rounds that failed and were tried again.", value=self._queue.retries
        )


class _Jobs(Collector):
    def __init__(self, jobs: Store) -> None:
        self._jobs = jobs

    def collect(self) -> Iterator[Metric]:
        states = Counter((body.get("status") or {}).get("state") for body in self._jobs)
        family = GaugeMetricFamily("finetune_operator_jobs", "Jobs by state.", labels=["state"])
        for state in State:
            family.add_metric([state.value], states.get(state.value, 0))
        yield family


class _Requests(Collector):
    def __init__(self, requests: Callable[[], dict[tuple[str, str], int]]) -> None:
        self._requests = requests

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(
            "finetune_operator_api_requests", "Requests to the API server.", labels=["verb", "resource"]
        )
        for (verb, resource), count in sorted(self._requests().items()):
            family.add_metric([verb, resource], count)
        yield family
