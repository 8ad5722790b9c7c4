"""One round for one job: look, plan, write the status, and only then act."""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from finetune_api.names import ATTEMPT_LABEL
from finetune_api.reasons import reason_of
from finetune_api.status import JobStatus, is_terminal
from finetune_operator.cluster.client import ApiError, Client, Unreachable
from finetune_operator.cluster.resources import FINETUNE_JOBS, PODS
from finetune_operator.decision import Event, Plan
from finetune_operator.observed import Observed, SeenJob, observe
from finetune_operator.plan import plan
from finetune_operator.references import worth_a_look
from finetune_operator.runtime.events_poster import EventPoster
from finetune_operator.runtime.hands import Hands
from finetune_operator.runtime.merge_patch import merge_patch
from finetune_operator.runtime.metrics import Metrics
from finetune_operator.runtime.progress_puller import ProgressPuller, target_of
from finetune_operator.runtime.progress_reports import Report
from finetune_operator.runtime.store import JobKey
from finetune_operator.runtime.surroundings import Gatherer
from finetune_operator.runtime.work_queue import Again
from finetune_operator.runtime.world import JobMemory, World, attempt_of
from finetune_operator.settings import Settings

Body = dict[str, Any]

log = logging.getLogger(__name__)

_MISSING_RECHECK: Final = 10.0
"""Seconds between looks at objects that pods wait for."""
_UNREACHABLE_RECHECK: Final = 5.0
"""Longest pause before a job is tried again that met a silent API server: nothing tells when that is back."""


class Reconciler:
    """Brings jobs and their children to where the plan wants them."""

    def __init__(
        self,
        client: Client,
        world: World,
        settings: Settings,
        *,
        poster: EventPoster,
        puller: ProgressPuller,
        metrics: Metrics,
        now: Callable[[], datetime],
    ) -> None:
        self._client, self._world, self._settings = client, world, settings
        self._poster, self._puller, self._metrics, self._now = poster, puller, metrics, now
        self._mistakes: dict[JobKey, str] = {}
        """What was told of jobs that cannot be handled."""
        self._gatherer, self._hands = Gatherer(client, world), Hands(client, world, now)

    async def __call__(self, key: JobKey) -> float | None:
        """Do one round; return after how many seconds the next is due. Raises Again when this one failed."""
        begun = time.perf_counter()
        try:
            after = await self._round(key)
        except (ApiError, Unreachable) as error:
            self._metrics.reconciled("error", time.perf_counter() - begun)
            most = _UNREACHABLE_RECHECK if isinstance(error, Unreachable) else math.inf
            raise Again(f"{key.namespace}/{key.name}: {error}", getattr(error, "retry_after", None), most) from error
        except Again:
            self._metrics.reconciled("error", time.perf_counter() - begun)
            raise
        except Exception as error:
            self._metrics.reconciled("error", time.perf_counter() - begun)
            self._tell_mistake(key, error)
            raise
        self._mistakes.pop(key, None)
        self._metrics.reconciled("success", time.perf_counter() - begun)
        return after

    def _tell_mistake(self, key: JobKey, error: Exception) -> None:
        """A mistake of the operator's own is seen on the job that it holds up, once however often it is tried again."""
        body, text = self._world.jobs.get(*key), " ".join(f"{type(error).__name__}: {error}".split())
        if body is None or self._mistakes.get(key) == text:
            return
        self._mistakes[key] = text
        row = reason_of(None, "InternalError")
        # Its status may be what cannot be read.
        job = SeenJob.of({name: part for name, part in body.items() if name != "status"})
        self._poster.post(job, [Event(row.name, row.say(message=text), row.warning)])

    async def _round(self, key: JobKey) -> float | None:
        body = self._world.jobs.get(*key)
        if body is None:
            self._world.forget(key)
            self._puller.follow(key, None)
            return None
        job = SeenJob.of(body)
        memory = self._world.memory(key, job.uid)
        memory.recorded(job.status)
        report = self._puller.take(key)
        try:
            observed, decided = await self._decide(key, job, memory, report)
            if decided.status is None and (creates_pods(decided) or collects(decided, observed)):
                await self._confirm(key, body)
            await self._write_status(key, job, body, decided.status)
        except BaseException:
            self._puller.give_back(key, report)
            raise
        memory.recorded(decided.status or job.status)
        if decided.status is not None:
            # What is recorded is never news again, though a create may fail. Events of a plan without a status tell of
            # what it does.
            self._poster.post(job, decided.events)
        complete = await self._hands.create(key, memory, decided.create)
        await self._hands.delete(key, memory, decided.delete)
        if decided.status is None:
            self._poster.post(job, decided.events)
        self._follow(key, job, decided, observed)
        memory.incomplete = 0 if complete else memory.incomplete + 1
        # The first incomplete round is told at once; when telling changes nothing, the next are ever rarer.
        return decided.requeue_after if complete else float(min(60, 2**memory.incomplete - 2))

    async def _decide(
        self, key: JobKey, job: SeenJob, memory: JobMemory, report: Report | None
    ) -> tuple[Observed, Plan]:
        observed, decided = await self._plan(key, job, memory, report)
        if begins_again(decided, observed):
            await self._gatherer.refresh_pods(key, job)
            observed, decided = await self._plan(key, job, memory, report)
        return observed, decided

    async def _plan(self, key: JobKey, job: SeenJob, memory: JobMemory, report: Report | None) -> tuple[Observed, Plan]:
        now = self._now()
        memory.passed(now - timedelta(seconds=2 * self._settings.timing.refusal_retry))
        observed = observe(job, await self._gatherer.gather(key, job, memory, report))
        wanted = () if is_terminal(job.status.conditions) else worth_a_look(job, observed, now, self._settings)
        if wanted:
            observed = replace(observed, missing=await self._gatherer.missing(key, wanted))
        decided = plan(job, observed, now, self._settings)
        if wanted:
            after = decided.requeue_after  # 0, which means at once, is not None
            decided = replace(
                decided, requeue_after=_MISSING_RECHECK if after is None else min(_MISSING_RECHECK, after)
            )
        return observed, decided

    async def _write_status(self, key: JobKey, job: SeenJob, body: Body, status: JobStatus | None) -> None:
        """Write into the version that was planned for, so that of two leaders only one succeeds."""
        changes = merge_patch(job.status.to_json(), status.to_json()) if status is not None else {}
        if status is None or not changes:
            return
        patch = {"metadata": {"resourceVersion": body["metadata"]["resourceVersion"]}, "status": changes}
        try:
            written = await self._client.patch_status(FINETUNE_JOBS, key.name, patch, key.namespace)
        except ApiError as error:
            if error.code in (404, 409):
                await self._read_anew(key, body)
                raise Again(f"{key.namespace}/{key.name}: the job was changed meanwhile") from error
            raise
        self._world.put(FINETUNE_JOBS, written)
        self._metrics.status_written(job, status)
        log.info("status written", extra={"job": f"{key.namespace}/{key.name}", **_facts(job.status, status)})

    async def _confirm(self, key: JobKey, body: Body) -> None:
        """What no status write precedes is done only for the job as it is: ours may be an old one."""
        await self._read_anew(key, body)
        known = self._world.jobs.get(*key)
        if known is None or known["metadata"]["resourceVersion"] != body["metadata"]["resourceVersion"]:
            raise Again(f"{key.namespace}/{key.name}: the job was changed meanwhile")

    async def _read_anew(self, key: JobKey, body: Body) -> None:
        try:
            self._world.put(FINETUNE_JOBS, await self._client.get(FINETUNE_JOBS, key.name, key.namespace))
        except ApiError as error:
            if error.code != 404:
                raise
            self._world.remove(FINETUNE_JOBS, body)

    def _follow(self, key: JobKey, job: SeenJob, decided: Plan, observed: Observed) -> None:
        current = replace(job, status=decided.status) if decided.status is not None else job
        self._puller.follow(key, target_of(current, observed, self._settings.network.progress_port))


def begins_again(decided: Plan, observed: Observed) -> bool:
    """Tell whether a plan starts an attempt that follows another: its first pods are to be created."""
    created = {attempt_of(body) for body in decided.create if ATTEMPT_LABEL in (body["metadata"].get("labels") or {})}
    return any(number and not observed.of_attempt(number) for number in created)


def creates_pods(decided: Plan) -> bool:
    """Tell whether a plan creates a pod."""
    return any(body["kind"] == PODS.kind for body in decided.create)


def collects(decided: Plan, observed: Observed) -> bool:
    """Tell whether it deletes what another job has left; to an operator that is behind that may be the newer one."""
    foreign = {child.uid for child in observed.foreign}
    return any(deletion.uid in foreign for deletion in decided.delete)


def _facts(before: JobStatus, status: JobStatus) -> Body:
    newest = status.attempts[-1] if status.attempts else None
    failed = status.failure if status.failure != before.failure else None
    return {
        "state": status.state,
        "attempt": newest.number if newest else None,
        "rank": failed.rank if failed else None,
    }
