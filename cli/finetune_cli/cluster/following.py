"""Follows jobs as they change, through closed watches and restarts of the API server."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Final, Self

from finetune_cli.cluster.finding import find_job, list_jobs
from finetune_cli.cluster.job_view import JobView
from finetune_cli.cluster.session import NoAnswer, in_words
from finetune_operator.cluster.client import Client
from finetune_operator.cluster.errors import ApiError, Unreachable
from finetune_operator.cluster.resources import FINETUNE_JOBS

_PAUSE: Final = 1.0
"""Seconds before a watch that has ended is begun anew."""
_LONGEST_PAUSE: Final = 15.0

Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True)
class Jobs:
    """All jobs that are followed, as they are now."""

    by_key: Mapping[tuple[str, str], JobView]

    @property
    def only(self) -> JobView | None:
        """The one job that is followed; None when it has been deleted."""
        return next(iter(self.by_key.values()), None)


@dataclass(frozen=True)
class Trouble:
    """Nothing can be seen just now; it is tried again."""

    sentence: str


@dataclass(frozen=True)
class _Found:
    jobs: Mapping[tuple[str, str], JobView]
    resource_version: str


async def follow_jobs(
    client: Client, namespace: str | None, name: str | None = None, *, sleep: Sleep = asyncio.sleep
) -> AsyncGenerator[Jobs | Trouble, None]:
    """Yield the jobs of a namespace (None: of all), or the one called `name`, now and after every change.

    Raises what hinders the first look; later on only credentials that are no longer accepted end it.
    """
    jobs: _Found | None = await _jobs(client, namespace, name, first=True)
    failures = 0
    while True:
        try:
            async with aclosing(_watched(client, namespace, name, jobs)) as changes:
                async for seen in changes:
                    failures = 0
                    yield seen
            await sleep(_PAUSE)
        except (ApiError, Unreachable, NoAnswer) as error:
            if isinstance(error, ApiError) and error.code == 401:
                raise
            failures += 1
            if not (isinstance(error, ApiError) and error.code == 410):
                yield Trouble(f"{in_words(error)}; trying again")
            await sleep(min(_LONGEST_PAUSE, _PAUSE * 2 ** (failures - 1)))
        jobs = None


async def _watched(
    client: Client, namespace: str | None, name: str | None, known: _Found | None
) -> AsyncGenerator[Jobs | Trouble, None]:
    found = known or await _jobs(client, namespace, name)
    jobs = dict(found.jobs)
    yield Jobs(dict(jobs))
    changes = client.watch(
        FINETUNE_JOBS, namespace, fields=_only(name), resource_version=found.resource_version, bookmarks=False
    )
    async for kind, body in changes:
        job = JobView.of(body)
        if kind == "DELETED":
            jobs.pop(job.key, None)
        else:
            jobs[job.key] = job
        yield Jobs(dict(jobs))


async def _jobs(client: Client, namespace: str | None, name: str | None, *, first: bool = False) -> _Found:
    if first and name is not None and namespace is not None:
        await find_job(client, namespace, name)
    listing = await list_jobs(client, namespace, fields=_only(name))
    views = [JobView.of(body) for body in listing.items]
    return _Found({view.key: view for view in views}, listing.resource_version)


def _only(name: str | None) -> str | None:
    return None if name is None else f"metadata.name={name}"


class JobWatch:
    """The newest that is known of one job, kept up to date in the background; an async context manager."""

    def __init__(self, client: Client, namespace: str, name: str, tell: Callable[[str], None]) -> None:
        self._changes = follow_jobs(client, namespace, name)
        self._tell = tell
        self._changed = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None
        self._versions = 0
        self.job: JobView | None = None
        """None once it has been deleted."""

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._follow())
        await self.newer(0)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await self._task

    @property
    def version(self) -> int:
        """Grows with every change."""
        return self._versions

    async def until(self, test: Callable[[JobView | None], bool]) -> None:
        """Return once `test` holds of the job; raises what ended the watching."""
        while True:
            version = self._versions
            if test(self.job):
                return
            await self.newer(version)

    async def newer(self, version: int) -> None:
        """Return once more is known than at `version`; raises what ended the watching."""
        assert self._task is not None
        waiting = asyncio.create_task(self._newer(version))
        try:
            await asyncio.wait({waiting, self._task}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if self._task.done():
            self._task.result()

    async def _newer(self, version: int) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: self._versions > version)

    async def _follow(self) -> None:
        async with aclosing(self._changes) as changes:
            async for seen in changes:
                if isinstance(seen, Trouble):
                    self._tell(seen.sentence)
                    continue
                async with self._changed:
                    self.job = seen.only
                    self._versions += 1
                    self._changed.notify_all()
