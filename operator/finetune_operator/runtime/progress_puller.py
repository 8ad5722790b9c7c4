"""Asks rank 0 of every running job how far it is: seldom, briefly, and a few at a time."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import aiohttp

from finetune_operator.observed import Observed, SeenJob
from finetune_operator.runtime.progress_reports import MOST_BYTES, Report, read_report
from finetune_operator.runtime.store import JobKey
from finetune_operator.runtime.work_queue import WorkQueue

log = logging.getLogger(__name__)

_SECONDS: Final = 2.0
_AT_ONCE: Final = 16
_FIRST_LOOKS: Final = 5.0
"""Seconds between looks until a first step is told."""
_LEAST_INTERVAL: Final = 15.0
_JOBS_PER_SECOND: Final = 20
"""Reports that become status writes, over all jobs."""
_SILENT: Final = 3
"""So many failed looks in a row are worth telling."""


@dataclass(frozen=True)
class Target:
    """Where rank 0 of a job's newest attempt tells."""

    pod: str
    ip: str
    port: int


@dataclass
class Followed:
    """One running job."""

    target: Target
    failures: int = 0
    stepped: bool = False
    report: Report | None = field(default=None)
    """The newest that was not yet handed on."""


class ProgressPuller:
    """Follows the jobs that run, and tells `news` which of them have something to say."""

    def __init__(self, news: Callable[[JobKey], None], now: Callable[[], datetime]) -> None:
        self._news, self._now = news, now
        self._followed: dict[JobKey, Followed] = {}
        self._queue: WorkQueue[JobKey] = WorkQueue("progress")
        self._session: aiohttp.ClientSession | None = None

    def __len__(self) -> int:
        return len(self._followed)

    @property
    def interval(self) -> float:
        """Seconds between two looks at a job."""
        return max(_LEAST_INTERVAL, len(self._followed) / _JOBS_PER_SECOND)

    def follow(self, key: JobKey, target: Target | None) -> None:
        """Follow a job at `target` from now on; None: no longer."""
        known = self._followed.get(key)
        if target is None:
            if known is not None:
                del self._followed[key]
                self._queue.forget(key)
        elif known is None or known.target != target:
            self._followed[key] = Followed(target)
            self._queue.add_after(key, _FIRST_LOOKS / 2)

    def take(self, key: JobKey) -> Report | None:
        """Return what a job told since the last call."""
        followed = self._followed.get(key)
        if followed is None:
            return None
        report, followed.report = followed.report, None
        if report is None and followed.failures >= _SILENT:
            return Report(error=_silence(followed))
        return report

    def give_back(self, key: JobKey, report: Report | None) -> None:
        """Keep a report that could not be recorded, unless there is a newer one."""
        followed = self._followed.get(key)
        if followed is not None and followed.report is None:
            followed.report = report

    async def work(self) -> None:
        """Ask until cancelled."""
        # Pods are reached directly: a proxy outside the cluster does not know them.
        async with aiohttp.ClientSession(trust_env=False, auto_decompress=False) as session:
            self._session = session
            await self._queue.work(_AT_ONCE, self._look)

    async def _look(self, key: JobKey) -> float | None:
        followed = self._followed.get(key)
        if followed is None:
            return None
        try:
            report = read_report(await self._ask(followed.target), self._now())
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            self._silent(key, followed, error)
        else:
            self._told(key, followed, report)
        return self.interval if followed.stepped else min(self.interval, _FIRST_LOOKS)

    def _told(self, key: JobKey, followed: Followed, report: Report) -> None:
        followed.failures, followed.report = 0, report
        followed.stepped = followed.stepped or bool(report.progress and report.progress.step)
        if key in self._followed:
            self._news(key)

    def _silent(self, key: JobKey, followed: Followed, error: Exception) -> None:
        followed.failures += 1
        log.debug("rank 0 did not tell its progress: %s", error, extra={"job": key.name})
        if followed.failures == _SILENT and key in self._followed:
            self._news(key)

    async def _ask(self, target: Target) -> bytes:
        assert self._session is not None
        host = f"[{target.ip}]" if ":" in target.ip else target.ip
        limit = aiohttp.ClientTimeout(total=_SECONDS)
        async with asyncio.timeout(_SECONDS):
            url = f"http://{host}:{target.port}/progress"
            async with self._session.get(url, timeout=limit, allow_redirects=False) as answer:
                if answer.status != 200:
                    raise ValueError(f"it answers with HTTP {answer.status}")
                return await _bounded(answer)


async def _bounded(answer: aiohttp.ClientResponse) -> bytes:
    text = b""
    async for chunk in answer.content.iter_any():
        text += chunk
        if len(text) > MOST_BYTES:
            raise ValueError(f"its answer is larger than {MOST_BYTES} bytes")
    return text


def target_of(job: SeenJob, observed: Observed, port: int) -> Target | None:
    """Return where rank 0 of the newest attempt tells, while it runs."""
    newest = job.status.attempts[-1] if job.status.attempts else None
    if newest is None or newest.outcome is not None:
        return None
    for pod in observed.of_attempt(newest.number):
        if pod.rank == 0 and pod.running and not pod.deleting and pod.ip:
            return Target(pod.name, pod.ip, port)
    return None


def _silence(followed: Followed) -> str:
    target = followed.target
    return f"pod {target.pod} did not answer {followed.failures} times in a row at {target.ip}:{target.port}"
