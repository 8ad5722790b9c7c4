"""Answers probes and Prometheus: alive while every part shows signs of life, ready once the cluster was listed."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

SLOWEST_ROUND: Final = 300.0
"""Seconds after which a worker is taken to be stuck."""


class Health:
    """When which part last showed that it lives."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._beats: dict[str, tuple[float, float]] = {}
        self._checks: dict[str, Callable[[], str | None]] = {}
        self.ready = False

    def expect(self, part: str, within: float) -> Callable[[], None]:
        """Expect a sign of life of a part every so many seconds from now on; return what gives one."""

        def beat() -> None:
            self._beats[part] = self._clock(), within

        beat()
        return beat

    def check(self, part: str, problem: Callable[[], str | None]) -> None:
        """Ask a part itself what is wrong with it."""
        self._checks[part] = problem

    def problems(self) -> list[str]:
        """Return what is wrong, in words."""
        now = self._clock()
        found = [
            f"{part}: no sign of life for {now - beat:.0f} s"
            for part, (beat, within) in self._beats.items()
            if now - beat > within
        ]
        return found + [f"{part}: {said}" for part, check in self._checks.items() if (said := check())]


@asynccontextmanager
async def serving(
    health: Health, registry: CollectorRegistry, health_port: int, metrics_port: int
) -> AsyncIterator[None]:
    """Serve /healthz, /readyz and /metrics meanwhile; raises OSError when a port is taken."""

    async def healthz(_: web.Request) -> web.Response:
        problems = health.problems()
        return web.Response(text="\n".join(problems or ["ok"]) + "\n", status=500 if problems else 200)

    async def readyz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n" if health.ready else "not listed yet\n", status=200 if health.ready else 503)

    async def metrics(_: web.Request) -> web.Response:
        text = await asyncio.to_thread(generate_latest, registry)
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})

    probes = [web.get("/healthz", healthz), web.get("/readyz", readyz)]
    async with _listening(probes, health_port), _listening([web.get("/metrics", metrics)], metrics_port):
        yield


@asynccontextmanager
async def _listening(routes: list[web.RouteDef], port: int) -> AsyncIterator[None]:
    app = web.Application()
    app.add_routes(routes)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        await web.TCPSite(runner, None, port).start()
        yield
    finally:
        await runner.cleanup()
