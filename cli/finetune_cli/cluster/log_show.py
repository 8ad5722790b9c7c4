"""Shows the logs of a job: those there are, or on and on until the job is over."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from finetune_cli.cluster.finding import find_job, find_pod
from finetune_cli.cluster.following import JobWatch
from finetune_cli.cluster.job_view import JobView
from finetune_cli.cluster.log_lines import Stamped
from finetune_cli.cluster.log_reading import Container, LogReader, in_order
from finetune_cli.cluster.log_target import Choice, Pending, Target, first_target, is_past, next_target
from finetune_cli.cluster.session import NoAnswer
from finetune_operator.cluster.client import Client
from finetune_operator.cluster.errors import ApiError, Unreachable

_POLL: Final = 1.0
_LAST_WORDS: Final = 5.0
"""Seconds for reading what is left of a log once its attempt is over."""


@dataclass(frozen=True)
class LogShow:
    """What is shown, and where it goes."""

    client: Client
    namespace: str
    name: str
    choice: Choice
    tail: int | None
    """Begin with at most so many lines."""
    write: Callable[[str], None]
    """For lines of logs, and those between two attempts."""
    tell: Callable[[str], None]
    """For what is said about them."""

    async def once(self) -> int:
        """Show what there is; raises NoAnswer when there is nothing."""
        job = await find_job(self.client, self.namespace, self.name)
        target = first_target(job, self.choice)
        if isinstance(target, Pending):
            raise NoAnswer(f"there is no log yet; {target.sentence} (-f waits for it)")
        readers = self._readers(await self._containers(target))
        missing: list[str] = []
        await self._history(target, readers, missing)
        if len(missing) == len(readers):
            raise NoAnswer(self._why_missing(job, target, missing))
        for sentence in missing:
            self.tell(sentence)
        return 0

    async def on_and_on(self) -> int:
        """Show one attempt after another until the job is over."""
        done: Target | None = None
        said = ""
        async with JobWatch(self.client, self.namespace, self.name, self.tell) as watch:
            while True:
                version, job = watch.version, watch.job
                if job is None:
                    raise NoAnswer(f"{self.name} has been deleted")
                target = first_target(job, self.choice) if done is None else next_target(job, self.choice, done)
                if target is None:
                    if job.over:
                        self.tell(f"{job.name} is {job.state}: {job.sentence}")
                    return 0
                if isinstance(target, Pending):
                    if target.sentence != said:
                        self.tell(target.sentence)
                    said = target.sentence
                    await watch.newer(version)
                    continue
                if done is not None:
                    self.write(f"--- {target.title} ---")
                await self._follow(target, watch)
                done = target

    async def _follow(self, target: Target, watch: JobWatch) -> None:
        """Show the logs of one attempt until it is over."""
        readers: list[LogReader] = []
        over = asyncio.create_task(self._narrate(target, watch))
        showing = asyncio.create_task(self._stream(target, readers))
        try:
            await asyncio.wait({over, showing}, return_when=asyncio.FIRST_COMPLETED)
            if showing.done():
                showing.result()  # it ends by an error only
        finally:
            for task in (over, showing):
                task.cancel()
            ends = await asyncio.gather(over, showing, return_exceptions=True)
        if isinstance(ends[0], Exception):
            raise ends[0]
        await self._last_words(target, readers)

    async def _stream(self, target: Target, readers: list[LogReader]) -> None:
        while not readers:
            readers += self._readers(await self._containers(target))
            await asyncio.sleep(0 if readers else _POLL)
        await self._history(target, readers, [])
        await asyncio.gather(*(self._stream_one(target, reader) for reader in readers))

    async def _stream_one(self, target: Target, reader: LogReader) -> None:
        while True:  # a pod that prepares is followed by another of the same name when it fails
            async for line in reader.follow(self.tell):
                self._show(target, reader, line)
            await asyncio.sleep(_POLL)

    async def _last_words(self, target: Target, readers: list[LogReader]) -> None:
        with suppress(ApiError, Unreachable, TimeoutError):
            async with asyncio.timeout(_LAST_WORDS):
                for reader in readers:
                    async for line in reader.history():
                        self._show(target, reader, line)

    async def _narrate(self, target: Target, watch: JobWatch) -> None:
        """Say what the job waits for, until nothing more can come from its pods."""
        said = ""
        while not is_past(watch.job, target):
            version, job = watch.version, watch.job
            if job is not None and job.state != "Running" and job.sentence not in ("", said):
                said = job.sentence
                self.tell(f"{job.name} is {job.state}: {said}")
            await watch.newer(version)

    # One log

    async def _history(self, target: Target, readers: list[LogReader], missing: list[str]) -> None:
        """Show what there is, in the order of time; `missing` receives a sentence for each log there is not."""
        tail = self.tail if target.shows_all_lines else None
        last: deque[str] = deque(maxlen=self.tail)
        streams = [self._if_there_is(reader, tail, missing) for reader in readers]
        async for number, line in in_order(streams):
            shown = target.shown(readers[number].container.node, line.text)
            if shown is not None and self.tail is None:
                self.write(shown)
            elif shown is not None:
                last.append(shown)
        for shown in last:
            self.write(shown)

    async def _if_there_is(self, reader: LogReader, tail: int | None, missing: list[str]) -> AsyncIterator[Stamped]:
        try:
            async for line in reader.history(tail):
                yield line
        except ApiError as error:
            if error.code not in (400, 404):
                raise
            missing.append(error.message)

    def _show(self, target: Target, reader: LogReader, line: Stamped) -> None:
        shown = target.shown(reader.container.node, line.text)
        if shown is not None:
            self.write(shown)

    def _readers(self, containers: list[Container]) -> list[LogReader]:
        return [LogReader(self.client, self.namespace, container) for container in containers]

    async def _containers(self, target: Target) -> list[Container]:
        """The containers of a target; none while the pod that prepares does not exist."""
        if target.attempt is not None:
            return [Container(target.pod(self.name, node), "trainer", node) for node in target.nodes]
        name = target.pod(self.name, 0)
        pod = await find_pod(self.client, self.namespace, name)
        first = (pod or {"spec": {}})["spec"].get("initContainers") or []
        names = [one["name"] for one in first if one["name"].startswith("fetch")]
        return [Container(name, one) for one in (*names, "prepare")] if pod else []

    def _why_missing(self, job: JobView, target: Target, missing: list[str]) -> str:
        said = missing[0] if missing else f"pod {target.pod(self.name, 0)} is gone"
        newest = job.attempt.number if job.attempt else -1
        older = target.attempt is not None and target.attempt < newest
        hint = "; a log goes with its pod, and only those of the last attempt are kept" if older or job.over else ""
        return f"there is no log: {said}{hint}"
