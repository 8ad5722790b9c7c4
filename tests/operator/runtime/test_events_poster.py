"""Events are posted beside the work, in order, and not one is lost because the operator leaves."""

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from finetune_operator.cluster.client import Client, Unreachable
from finetune_operator.decision import Event
from finetune_operator.observed import SeenJob
from finetune_operator.runtime.events_poster import EventPoster, event_body
from support.operator_jobs import inline_job
from support.virtual_time import run_virtually

NOW = datetime(2026, 1, 1, tzinfo=UTC)
METADATA = {"name": "arc-easy", "namespace": "team", "uid": "job-uid"}
JOB = SeenJob.of({**inline_job(), "metadata": METADATA})


class Slow:
    """Takes a second for each Event; the first ones are answered with `errors`."""

    def __init__(self, *errors: Exception) -> None:
        self.posted: list[str] = []
        self._errors = list(errors)

    async def create(self, _: object, body: dict[str, Any], *__: object) -> None:
        await asyncio.sleep(1)
        if self._errors:
            raise self._errors.pop(0)
        self.posted.append(body["reason"])


def play(scene: Coroutine[Any, Any, None]) -> None:
    run_virtually(scene)


def poster_of(server: Slow, *reasons: str) -> EventPoster:
    poster = EventPoster(cast(Client, server), "test", lambda: NOW)
    poster.post(JOB, [Event(reason, "it is told") for reason in reasons])
    return poster


def test_what_is_left_when_the_work_is_cut_off_is_posted_by_the_drain() -> None:
    async def scene() -> None:
        server = Slow()
        poster = poster_of(server, "First", "Second", "Third")
        working = asyncio.create_task(poster.work())
        await asyncio.sleep(1.5)
        working.cancel()
        await asyncio.wait({working})
        await poster.drain(5)
        assert server.posted == ["First", "Second", "Third"]

    play(scene())


def test_a_drain_ends_as_soon_as_nothing_is_left_and_in_any_case_in_time() -> None:
    async def scene() -> None:
        now, server = asyncio.get_running_loop().time, Slow()
        begun = now()
        await poster_of(server).drain(5)
        assert now() == begun
        await poster_of(server, "First", "Second", "Third").drain(2.5)
        assert (server.posted, now() - begun) == (["First", "Second"], 2.5)

    play(scene())


@pytest.mark.parametrize("error", [Unreachable("no answer"), ValueError("what is this")])
def test_an_event_that_cannot_be_posted_holds_up_no_other(error: Exception) -> None:
    async def scene() -> None:
        server = Slow(error)
        poster = poster_of(server, "First", "Second")
        working = asyncio.create_task(poster.work())
        await asyncio.sleep(3)
        assert server.posted == ["Second"]
        assert not working.done()
        poster.post(JOB, [Event("Third", "later")])
        await asyncio.sleep(1.5)
        assert server.posted == ["Second", "Third"]
        working.cancel()

    play(scene())


def test_an_event_says_about_which_job_it_is_and_is_cut_to_what_the_server_takes() -> None:
    body = event_body(JOB, Event("Stalled", "x" * 2000, warning=True), NOW, "operator")
    assert body["regarding"] == {**METADATA, "apiVersion": "finetune.dev/v1alpha1", "kind": "FinetuneJob"}
    assert (body["type"], len(body["note"])) == ("Warning", 1024)
