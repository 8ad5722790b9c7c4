"""Shows jobs: once, or as they change."""

import json
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from rich.console import Console
from rich.text import Text

from finetune_api.status import FailureStatus
from finetune_cli.cluster.advice import advice
from finetune_cli.cluster.conclusion import NO_ANSWER, code_of
from finetune_cli.cluster.details import job_details
from finetune_cli.cluster.finding import find_job, find_pod, list_jobs
from finetune_cli.cluster.following import Trouble, follow_jobs
from finetune_cli.cluster.job_view import JobView
from finetune_cli.cluster.screens import LiveScreen, PlainScreen, Screen, job_line, print_lines
from finetune_cli.cluster.session import say
from finetune_cli.cluster.table import job_table
from finetune_operator.cluster.client import Client
from finetune_operator.cluster.errors import ApiError, Unreachable
from finetune_operator.seen_pod import seen_pod


@dataclass(frozen=True)
class StatusShow:
    """What is shown of which jobs."""

    client: Client
    namespace: str | None
    """None: all."""
    name: str | None
    """None: a table of all jobs."""
    as_json: bool = False
    console: Console = field(default_factory=lambda: Console(highlight=False))

    async def once(self) -> int:
        """Show how things are now."""
        if self.name is not None and self.namespace is not None:
            await self._print_details(await find_job(self.client, self.namespace, self.name))
            return 0
        jobs = [JobView.of(body) for body in (await list_jobs(self.client, self.namespace)).items]
        if self.as_json:
            self._write(json.dumps({"items": [as_object(job) for job in jobs]}, indent=2))
        elif jobs:
            print_lines(self.console, self._table(jobs, datetime.now(UTC)))
        else:
            say("there are no FinetuneJobs" + (f" in namespace {self.namespace}" if self.namespace else ""))
        return 0

    async def on_and_on(self) -> int:
        """Show how things change; a single job until it is over, and then everything about it."""
        screen: Screen = LiveScreen(self.console) if self._live else PlainScreen(self._write)
        try:
            last = await self._follow(screen)
        finally:
            screen.close()
        if last is None:
            say(f"{self.name} has been deleted")
            return NO_ANSWER
        if not self.as_json:
            await self._print_end(last)
        return code_of(last)

    async def _follow(self, screen: Screen) -> JobView | None:
        """Return the one job that is shown when it is over, or None when it is deleted."""
        before: Mapping[tuple[str, str], JobView] = {}
        async with aclosing(follow_jobs(self.client, self.namespace, self.name)) as changes:
            async for seen in changes:
                if isinstance(seen, Trouble):
                    screen.trouble(seen.sentence)
                    continue
                jobs = list(seen.by_key.values())
                changed = [job for job in jobs if job.key not in before or _differs(job, before[job.key])]
                before = seen.by_key
                if self.name is not None and not jobs:
                    return None
                screen.show(partial(self._lines, jobs if self._live else changed))
                if self.name is not None and jobs[0].over:
                    return jobs[0]
        raise AssertionError("following never ends by itself")

    @property
    def _live(self) -> bool:
        return self.console.is_terminal and not self.as_json

    def _lines(self, jobs: Sequence[JobView], now: datetime) -> list[Text]:
        if self.as_json:
            return [Text(json.dumps(as_object(job))) for job in jobs]
        if not self._live:
            return [job_line(job, now, namespaces=self.namespace is None) for job in jobs]
        return self._table(jobs, now) if self.name is None else job_details(jobs[0], now, bars=True)

    def _table(self, jobs: Sequence[JobView], now: datetime) -> list[Text]:
        return job_table(jobs, now, namespaces=self.namespace is None, bars=self.console.is_terminal)

    async def _print_end(self, job: JobView) -> None:
        traceback = await self._traceback(job)
        if traceback or not self._live:
            print_lines(self.console, job_details(job, datetime.now(UTC), traceback=traceback, bars=self._live))

    async def _print_details(self, job: JobView) -> None:
        traceback = await self._traceback(job)
        if self.as_json:
            self._write(json.dumps(as_object(job, traceback), indent=2))
        else:
            lines = job_details(job, datetime.now(UTC), traceback=traceback, bars=self.console.is_terminal)
            print_lines(self.console, lines)

    async def _traceback(self, job: JobView) -> str | None:
        """The end of the traceback: that of the failed pod's own words while it is there, and of the status after."""
        failure = job.status.failure
        if failure is None or job.complete:
            return None
        return await self._told(job, failure) or failure.traceback

    async def _told(self, job: JobView, failure: FailureStatus) -> str | None:
        if failure.pod is None:
            return None
        try:
            body = await find_pod(self.client, job.namespace, failure.pod)
        except (ApiError, Unreachable):
            return None
        pod = seen_pod(body) if body else None
        return pod.message.traceback if pod and pod.message else None

    def _write(self, line: str) -> None:
        self.console.out(line, highlight=False)


def _differs(job: JobView, before: JobView) -> bool:
    """Tell whether there is news for a reader, and not only another version of the same."""
    return (job.state, job.body.get("status")) != (before.state, before.body.get("status"))


def as_object(job: JobView, traceback: str | None = None) -> dict[str, Any]:
    """Return what a script wants to know of a job; `status` is as the operator wrote it."""
    return {
        "name": job.name,
        "namespace": job.namespace,
        "uid": job.uid,
        "created": job.created.isoformat() if job.created else None,
        "state": job.state,
        "nodes": job.nodes,
        "processesPerNode": job.processes,
        "over": job.over,
        "exitCode": code_of(job) if job.over else None,
        "next": advice(job),
        "traceback": traceback,
        "status": job.body.get("status") or {},
    }
