"""The client against a server that speaks the protocol."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing

import pytest

from finetune_operator.cluster.access import Access
from finetune_operator.cluster.client import ApiError, Client, Unreachable
from finetune_operator.cluster.resources import FINETUNE_JOBS, NODES, PODS
from support.fake_api_server import FakeApiServer

Scene = Callable[[FakeApiServer, Client], Awaitable[None]]


def play(scene: Scene) -> FakeApiServer:
    async def run() -> FakeApiServer:
        async with FakeApiServer().serving() as server, server.client() as client:
            await asyncio.wait_for(scene(server, client), 60)
            return server

    return asyncio.run(run())


def pod(name: str, **labels: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}}


def test_what_is_created_can_be_read_listed_changed_and_deleted() -> None:
    async def scene(server: FakeApiServer, client: Client) -> None:
        made = await client.create(PODS, pod("a"))
        assert (await client.get(PODS, "a"))["metadata"]["uid"] == made["metadata"]["uid"]
        await client.patch(PODS, "a", {"metadata": {"labels": {"x": "1"}}})
        assert [one["metadata"]["name"] for one in (await client.list(PODS, labels="x=1")).items] == ["a"]
        await client.delete(PODS, "a", grace=0)
        assert (await client.list(PODS)).items == []

    server = play(scene)
    assert server.count("POST", "pods") == 1


def test_items_of_a_list_say_their_kind_and_come_in_pages() -> None:
    async def scene(server: FakeApiServer, client: Client) -> None:
        for number in range(1201):
            server.put("pods", pod(f"p{number}"))
        listing = await client.list(PODS, "team")
        assert len(listing.items) == 1201
        assert {one["kind"] for one in listing.items} == {"Pod"}
        assert listing.resource_version == str(server.version)

    assert play(scene).count("GET", "pods") == 3


def test_of_a_long_list_only_what_is_asked_for_is_held() -> None:
    async def scene(server: FakeApiServer, client: Client) -> None:
        for number in range(501):
            server.put("pods", pod(f"p{number}", x="1"))
        listing = await client.list(PODS, "team", keep=lambda body: {"kind": body["kind"]})
        assert listing.items == [{"kind": "Pod"}] * 501

    play(scene)


def test_an_answer_of_the_server_is_an_error_in_its_own_words() -> None:
    async def scene(server: FakeApiServer, client: Client) -> None:
        with pytest.raises(ApiError, match='pods "a" not found') as missing:
            await client.get(PODS, "a")
        assert (missing.value.code, missing.value.reason) == (404, "NotFound")
        server.fail("POST", "pods", 429, message="slow down", headers={"Retry-After": "7"})
        with pytest.raises(ApiError) as busy:
            await client.create(PODS, pod("a"))
        assert busy.value.retry_after == 7.0
        assert busy.value.transient

    play(scene)


def test_a_status_is_written_only_into_the_version_that_was_read() -> None:
    async def scene(server: FakeApiServer, client: Client) -> None:
        job = server.put("finetunejobs", {"metadata": {"name": "a"}, "spec": {}})
        version = job["metadata"]["resourceVersion"]
        patch = {"metadata": {"resourceVersion": version}, "status": {"state": "Running"}}
        written = await client.patch_status(FINETUNE_JOBS, "a", patch)
        assert written["status"] == {"state": "Running"}
        with pytest.raises(ApiError, match="has been modified") as conflict:
            await client.patch_status(FINETUNE_JOBS, "a", patch | {"status": {"state": "Failed"}})
        assert conflict.value.code == 409

    play(scene)


def test_an_object_is_not_deleted_in_the_place_of_an_earlier_one_with_its_name() -> None:
    async def scene(server: FakeApiServer, client: Client) -> None:
        server.put("pods", pod("a"))
        with pytest.raises(ApiError, match="UID"):
            await client.delete(PODS, "a", uid="another")
        assert server.get("pods", "a")

    play(scene)


def test_a_watch_tells_what_happens_and_where_it_is_too_late() -> None:
    async def scene(server: FakeApiServer, client: Client) -> None:
        since = (await client.list(PODS)).resource_version
        server.put("pods", pod("a", x="1"))
        server.put("pods", pod("b"))
        server.remove("pods", "a")
        seen = []
        async with aclosing(client.watch(PODS, "team", labels="x", resource_version=since)) as events:
            async for kind, body in events:
                seen.append((kind, body["metadata"]["name"]))
                if kind == "DELETED":
                    break
        assert seen == [("ADDED", "a"), ("DELETED", "a")]
        server.forget_history()
        with pytest.raises(ApiError) as late:
            async for _ in client.watch(PODS, "team", resource_version=since):
                pass
        assert late.value.code == 410

    play(scene)


def test_a_server_that_is_not_there_is_named() -> None:
    async def scene(server: FakeApiServer, client: Client) -> None:
        async with Client(lambda: Access("http://127.0.0.1:9")) as lost:
            with pytest.raises(Unreachable, match=r"http://127\.0\.0\.1:9 cannot be reached"):
                await lost.get(NODES, "a")

    play(scene)


def test_a_401_is_believed_only_after_logging_in_anew() -> None:
    async def scene(server: FakeApiServer, client: Client) -> None:
        server.put("pods", pod("a"))
        tokens = iter(["old", "new", "new"])

        def login() -> Access:
            token = next(tokens)
            return Access(server.url, namespace="team", authorization=lambda: f"Bearer {token}")

        server.token = "new"
        async with Client(login) as other:
            assert await asyncio.gather(other.get(PODS, "a"), other.get(PODS, "a"))
        assert next(tokens) == "new", "two requests that were refused together logged in once"
        async with Client(lambda: Access(server.url, authorization=lambda: "Bearer wrong")) as wrong:
            with pytest.raises(ApiError, match="Unauthorized"):
                await wrong.get(PODS, "a")

    play(scene)
