"""Who opens a connection of their own is logged in just as the client is."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from cluster.pki import Authority
from finetune_operator.cluster.access import Access, tls_context
from finetune_operator.cluster.client import Client
from finetune_operator.cluster.connection import session_of
from finetune_operator.cluster.resources import PODS


@asynccontextmanager
async def serving(authority: Authority, folder: Path) -> AsyncIterator[tuple[str, list[str | None]]]:
    """A server with a certificate for another name than its address; yields its URL, and who asked it."""
    asked: list[str | None] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.headers.get("Authorization"))
        return web.json_response({"kind": "Pod", "metadata": {"name": "a"}})

    pair = authority.server("api", ["api.internal"])
    (folder / "server.pem").write_bytes(pair.certificate + pair.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    try:
        yield f"https://127.0.0.1:{runner.addresses[0][1]}", asked
    finally:
        await runner.cleanup()


def test_both_believe_a_server_whose_certificate_bears_the_name_that_the_kubeconfig_says(tmp_path: Path) -> None:
    async def run() -> None:
        authority = Authority()
        async with serving(authority, tmp_path) as (url, asked):
            access = Access(
                url,
                tls=tls_context(ca_data=authority.certificate.decode()),
                tls_name="api.internal",
                authorization=lambda: "Bearer t",
            )
            async with Client(lambda: access) as client:
                await client.get(PODS, "a", "team")
            async with session_of(access, "watch") as session, session.get(f"{url}/api/v1/pods") as answer:
                assert answer.status == 200
            assert asked == ["Bearer t", "Bearer t"]

    asyncio.run(run())
