"""Asking rank 0: seldom, briefly, and without believing what it sends."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest
from aiohttp import web

from finetune_operator.runtime import progress_puller
from finetune_operator.runtime.progress_puller import Followed, ProgressPuller, Target
from finetune_operator.runtime.store import JobKey

KEY = JobKey("team", "arc")
PATIENCE = 60.0
"""Seconds for an answer that has to come."""
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture(autouse=True)
def _only_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks are the test's own, and no answer is late because the machine has other things to do."""
    monkeypatch.setattr(progress_puller, "_FIRST_LOOKS", 2 * PATIENCE)
    monkeypatch.setattr(progress_puller, "_SECONDS", PATIENCE)


def ask(answer: Answer, looks: int = 1) -> tuple[ProgressPuller, list[JobKey]]:
    """Have a puller look so often at a pod that answers like this."""

    async def run() -> tuple[ProgressPuller, list[JobKey]]:
        app = web.Application()
        app.router.add_get("/progress", answer)
        app.router.add_get("/elsewhere", _fine)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        news: list[JobKey] = []
        puller = ProgressPuller(news.append, lambda: datetime(2026, 1, 1, tzinfo=UTC))
        working = asyncio.create_task(puller.work())
        await asyncio.sleep(0)
        puller.follow(KEY, Target("arc-0-0", "127.0.0.1", runner.addresses[0][1]))
        for _ in range(looks):
            await puller._look(KEY)
        working.cancel()
        await runner.cleanup()
        return puller, news

    return asyncio.run(run())


async def _fine(_: web.Request) -> web.Response:
    return web.json_response({"step": 3})


def test_what_is_told_is_handed_on_once() -> None:
    puller, news = ask(_fine)
    assert news == [KEY]
    report = puller.take(KEY)
    assert report is not None
    assert report.progress is not None
    assert report.progress.step == 3
    assert puller.take(KEY) is None
    puller.give_back(KEY, report)
    assert puller.take(KEY) == report


async def _redirect(_: web.Request) -> web.Response:
    raise web.HTTPFound("/elsewhere")


async def _huge(_: web.Request) -> web.Response:
    return web.Response(body=b" " * 70_000 + b"{}")


async def _not_a_number(_: web.Request) -> web.Response:
    return web.Response(text='{"loss": NaN}')


async def _dripping(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    for _ in range(100):
        await answer.write(b" ")
        await asyncio.sleep(0.05)
    return answer


@pytest.mark.parametrize(
    ("answer", "seconds"), [(_redirect, PATIENCE), (_huge, PATIENCE), (_not_a_number, PATIENCE), (_dripping, 0.3)]
)
def test_an_answer_that_cannot_be_trusted_is_none(
    answer: Answer, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_puller, "_SECONDS", seconds)
    puller, news = ask(answer, looks=2)
    assert (puller.take(KEY), news) == (None, [])


def test_silence_is_told_after_several_looks_and_ends_with_an_answer() -> None:
    answers = iter([_not_a_number] * 3 + [_fine])

    async def answer(request: web.Request) -> web.Response:
        return await next(answers)(request)

    puller, news = ask(answer, looks=3)
    assert news == [KEY]
    report = puller.take(KEY)
    assert report is not None
    assert "arc-0-0 did not answer 3 times in a row" in str(report.error)


def test_the_more_jobs_run_the_less_often_each_is_asked() -> None:
    puller = ProgressPuller(lambda key: None, lambda: datetime(2026, 1, 1, tzinfo=UTC))
    assert puller.interval == 15
    puller._followed = {JobKey("team", str(number)): Followed(Target("p", "i", 1)) for number in range(1000)}
    assert puller.interval == 50
