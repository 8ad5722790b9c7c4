"""Answers those who ask a running pod for its progress: honestly, absurdly, slowly, or not at all."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from aiohttp import web

from soak.happenings import Body
from soak.scene import Scene
from soak.script import Voice

_SLOW = 3.0
_ABSURD = (
    '{"step": NaN, "loss": "high", "totalSteps": -1, "epoch": 1e999, "lastCheckpointStep": true}',
    "[" * 5000,
    "x" * 10**6,
    '{"step": 1' + "0" * 400 + "}",
)


class Voices:
    """Every pod of the simulated kubelet has a loopback address of its own, at which it is heard here."""

    def __init__(self, scene: Scene, voices: Mapping[str, Voice]) -> None:
        self._scene, self._voices = scene, voices
        self.asked: Counter[Voice] = Counter()

    @asynccontextmanager
    async def speaking(self, port: int) -> AsyncIterator[None]:
        """Answer while the block runs."""
        application = web.Application()
        application.router.add_get("/progress", self._answer)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "0.0.0.0", port).start()
            yield
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        address = request.transport.get_extra_info("sockname")[0] if request.transport else ""
        voice = self._voices.get(self._job_at(address), Voice.SILENT)
        self.asked[voice] += 1
        if voice is Voice.SLOW:
            await asyncio.sleep(_SLOW)
        if voice is Voice.SILENT:
            return web.Response(status=503)
        if voice is Voice.ABSURD:
            return web.Response(text=_ABSURD[self.asked[voice] % len(_ABSURD)], content_type="application/json")
        return web.json_response(_honest(self.asked[voice]))

    def _job_at(self, address: str) -> str:
        found = (pod for pod in self._scene.pods.values() if pod.body.get("status", {}).get("podIP") == address)
        pod = next((pod for pod in found if not pod.over), None)
        job = self._scene.jobs.get(pod.job_uid) if pod else None
        return job.name if job else ""


def _honest(step: int) -> Body:
    return {"step": step, "totalSteps": 10**6, "loss": 1.5, "tokensPerSecond": 1000.0, "epoch": 0.1}
