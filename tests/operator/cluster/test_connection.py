"""What a connection never sends, and what it makes of answers that are none."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web

from finetune_operator.cluster.access import Access
from finetune_operator.cluster.client import ApiError, Client, Fenced, LoginError, Unreachable
from finetune_operator.cluster.resources import PODS
from support.fake_api_server import FakeApiServer

POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}


def play(scene: Callable[[FakeApiServer, Client], Awaitable[None]]) -> None:
    async def run() -> None:
        async with FakeApiServer().serving() as server, server.client() as client:
            await asyncio.wait_for(scene(server, client), 60)

    asyncio.run(run())


def _fence() -> None:
    raise Fenced("another leads")


def test_a_guard_stops_whatever_would_change_something_and_lets_everybody_read() -> None:
    async def scene(server: FakeApiServer, client: Client) -> None:
        server.put("pods", POD)
        client.guard(_fence)
        for action in (client.create(PODS, POD), client.patch(PODS, "a", {}), client.delete(PODS, "a")):
            with pytest.raises(Fenced):
                await action
        assert {one.method for one in server.requests} == set()
        assert (await client.get(PODS, "a"))["metadata"]["name"] == "a"

    play(scene)


@pytest.mark.parametrize("reused", [False, True])
def test_a_guard_is_asked_again_once_the_connection_is_there(reused: bool) -> None:
    """A process may be stopped while it connects, and wake when another leads."""

    async def scene(server: FakeApiServer, client: Client) -> None:
        if reused:
            await client.list(PODS)
        looks = 0

        def guard() -> None:
            nonlocal looks
            looks += 1
            if looks > 1:
                _fence()

        client.guard(guard)
        with pytest.raises(Fenced):
            await client.create(PODS, POD)
        assert server.count("POST", "pods") == 0
        client.guard(lambda: None)
        await client.create(PODS, POD)

    play(scene)


@pytest.mark.parametrize("text", ['{"kind": "Po', "", "[]", "<html>"])
def test_an_answer_that_is_no_whole_json_object_is_no_answer(text: str) -> None:
    async def answer(_: web.BaseRequest) -> web.Response:
        return web.Response(text=text)

    async def run() -> None:
        server = web.ServerRunner(web.Server(answer))
        await server.setup()
        await web.TCPSite(server, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{server.addresses[0][1]}"
        async with Client(lambda: Access(url)) as client:
            with pytest.raises(Unreachable, match="did not answer with a whole JSON object"):
                await client.get(PODS, "a", "team")
        await server.cleanup()

    asyncio.run(run())


def test_a_new_login_that_fails_may_succeed_later() -> None:
    """Between two versions of a token there may be none."""

    async def run() -> None:
        async with FakeApiServer().serving() as server:
            logins = 0

            def log_in() -> Access:
                nonlocal logins
                logins += 1
                if logins == 2:
                    raise LoginError("token: cannot be read")
                token = "old" if logins == 1 else "new"
                return Access(server.url, namespace="team", authorization=lambda: f"Bearer {token}")

            server.token = "new"
            async with Client(log_in) as client:
                with pytest.raises(Unreachable, match="token: cannot be read"):
                    await client.get(PODS, "a")
                with pytest.raises(ApiError, match="not found"):
                    await client.get(PODS, "a")

    asyncio.run(run())
