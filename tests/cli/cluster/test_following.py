"""Jobs are followed through everything that ends a watch."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from finetune_cli.cluster.following import Jobs, JobWatch, Trouble, follow_jobs
from finetune_cli.cluster.session import NoAnswer
from finetune_operator.cluster.client import Client
from finetune_operator.cluster.errors import ApiError
from support import job_stories as stories
from support.log_server import LogServer

Story = Callable[[LogServer, Client], Awaitable[None]]


def _play(story: Story) -> None:
    async def playing() -> None:
        async with LogServer().serving() as server, server.client() as client:
            assert isinstance(server, LogServer)
            await story(server, client)

    asyncio.run(asyncio.wait_for(playing(), 60))


async def _quickly(_: float) -> None:
    await asyncio.sleep(0.01)


async def _until_state(changes: AsyncIterator[Jobs | Trouble], state: str) -> list[str]:
    """What was seen on the way: states, or the sentences of troubles."""
    seen: list[str] = []
    async for one in changes:
        seen.append(one.sentence if isinstance(one, Trouble) else (one.only.state if one.only else "gone"))
        if seen[-1] == state:
            return seen
    raise AssertionError("it ended")


def test_every_change_is_seen_also_after_a_closed_watch_and_a_forgotten_version() -> None:
    async def story(server: LogServer, client: Client) -> None:
        server.put("finetunejobs", stories.preparing())
        changes = follow_jobs(client, "team", "arc-easy", sleep=_quickly)
        await _until_state(changes, "Preparing")
        server.put("finetunejobs", stories.training())
        await _until_state(changes, "Running")
        server.cut_streams()
        server.put("finetunejobs", stories.suspended())
        assert "Suspended" in await _until_state(changes, "Suspended")
        server.fail("GET", "finetunejobs", 410, reason="Expired", message="too old")
        server.cut_streams()
        server.put("finetunejobs", stories.complete())
        seen = await _until_state(changes, "Complete")
        assert not any("410" in one for one in seen)

    _play(story)


def test_a_server_that_restarts_is_told_of_and_waited_for() -> None:
    async def story(server: LogServer, client: Client) -> None:
        server.put("finetunejobs", stories.training())
        changes = follow_jobs(client, "team", None, sleep=_quickly)
        await _until_state(changes, "Running")
        for code, message in ((503, "shutting down"), (403, "not yet ready"), (404, "no such path")):
            server.fail("GET", "finetunejobs", code, message=message)
        server.cut_streams()
        server.put("finetunejobs", stories.complete())
        seen = await _until_state(changes, "Complete")
        assert "the API server answers 503: shutting down; trying again" in seen
        assert sum("trying again" in one for one in seen) == 3

    _play(story)


def test_other_jobs_are_not_seen_and_a_deleted_one_is_gone() -> None:
    async def story(server: LogServer, client: Client) -> None:
        server.put("finetunejobs", stories.training())
        changes = follow_jobs(client, "team", "arc-easy", sleep=_quickly)
        await _until_state(changes, "Running")
        other = stories.complete()
        other["metadata"]["name"] = "other"
        server.put("finetunejobs", other)
        server.remove("finetunejobs", "arc-easy")
        assert await _until_state(changes, "gone") == ["gone"]

    _play(story)


def test_the_first_look_raises_what_hinders_it_and_later_only_lost_credentials_do() -> None:
    async def story(server: LogServer, client: Client) -> None:
        with pytest.raises(NoAnswer, match="there is no FinetuneJob arc-easy in namespace team"):
            await anext(follow_jobs(client, "team", "arc-easy", sleep=_quickly))
        server.fail("GET", "finetunejobs", 403, message="you may not")
        with pytest.raises(ApiError, match="you may not"):
            await anext(follow_jobs(client, "team", None, sleep=_quickly))
        server.put("finetunejobs", stories.training())
        changes = follow_jobs(client, "team", None, sleep=_quickly)
        await _until_state(changes, "Running")
        server.fail("GET", "finetunejobs", 401, times=5)
        server.cut_streams()
        with pytest.raises(ApiError, match="401"):
            await _until_state(changes, "never")

    _play(story)


def test_a_job_watch_misses_no_change_and_raises_what_ends_it() -> None:
    async def story(server: LogServer, client: Client) -> None:
        server.put("finetunejobs", stories.preparing())
        told: list[str] = []
        async with JobWatch(client, "team", "arc-easy", told.append) as watch:
            assert watch.job is not None
            assert watch.job.state == "Preparing"
            version = watch.version
            server.put("finetunejobs", stories.complete())
            await watch.until(lambda job: job is not None and job.over)
            await watch.newer(version)  # it has happened already
            server.remove("finetunejobs", "arc-easy")
            await watch.until(lambda job: job is None)
        with pytest.raises(NoAnswer):
            async with JobWatch(client, "team", "arc-easy", told.append):
                raise AssertionError("there is nothing to watch")
        assert told == []

    _play(story)
