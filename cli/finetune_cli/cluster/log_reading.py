"""Reads the logs of pods: what there is, and what is still to come."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from finetune_cli.cluster.finding import find_pod
from finetune_cli.cluster.log_lines import Stamped, stamped, whole_lines
from finetune_cli.cluster.session import in_words
from finetune_operator.cluster.client import Client
from finetune_operator.cluster.errors import ApiError, Unreachable

_POLL: Final = 1.0
"""Seconds between looks at a pod whose log is waited for."""


@dataclass(frozen=True)
class Container:
    """A container, and on which node of its attempt it runs."""

    pod: str
    name: str
    node: int = 0


class LogReader:
    """One container's log, each line given once."""

    def __init__(self, client: Client, namespace: str, container: Container) -> None:
        self._client, self._namespace = client, namespace
        self.container = container
        self._last: Stamped | None = None

    async def history(self, tail: int | None = None) -> AsyncIterator[Stamped]:
        """Yield what there is; raises ApiError when there is no log."""
        async for line in self._lines(follow=False, tail=tail):
            yield line

    async def follow(self, tell: Callable[[str], None]) -> AsyncIterator[Stamped]:
        """Wait for the log to begin, then yield it to its end, through broken connections."""
        while True:
            try:
                async for line in self._lines(follow=True):
                    yield line
                if await self._ended():
                    return
            except Unreachable as error:
                tell(f"{error}; trying again")
            except ApiError as error:
                if error.code in (401, 403):
                    raise
                if error.code == 400 and await self._ended():
                    break
                if error.code not in (400, 404):
                    tell(f"{in_words(error)}; trying again")
            await asyncio.sleep(_POLL)
        with suppress(ApiError):  # it may have run since it was asked; if it never did, there is no log
            async for line in self.history():
                yield line

    async def _lines(self, *, follow: bool, tail: int | None = None) -> AsyncIterator[Stamped]:
        last = self._last
        chunks = self._client.log(
            self.container.pod, self._namespace, self.container.name, follow=follow, tail_lines=tail,
            timestamps=True, since_time=last.second if last else None,
        )  # fmt: skip
        async for line in whole_lines(chunks):
            read = stamped(line, self._last.at if self._last else 0)
            if last is None or read.at > last.at:
                self._last = read
                yield read

    async def _ended(self) -> bool:
        try:
            pod = await find_pod(self._client, self._namespace, self.container.pod)
        except (ApiError, Unreachable):
            return False
        return pod is not None and has_ended(pod, self.container.name)


def has_ended(pod: Mapping[str, Any], container: str) -> bool:
    """Tell whether a container of `pod` has ended, or will not run any more."""
    status = pod.get("status") or {}
    if status.get("phase") in ("Succeeded", "Failed"):
        return True
    states = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    return any(one.get("name") == container and "terminated" in (one.get("state") or {}) for one in states)


async def in_order(streams: Sequence[AsyncIterator[Stamped]]) -> AsyncIterator[tuple[int, Stamped]]:
    """Yield the lines of several logs in the order of their times, each with the number of its log."""
    heads = {number: head for number, stream in enumerate(streams) if (head := await anext(stream, None)) is not None}
    while heads:
        number = min(heads, key=lambda one: (heads[one].at, one))
        yield number, heads[number]
        following = await anext(streams[number], None)
        if following is None:
            del heads[number]
        else:
            heads[number] = following
