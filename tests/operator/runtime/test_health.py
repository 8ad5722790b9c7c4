"""Probes tell the truth about every part, and Prometheus is answered on a port of its own."""

import asyncio

import aiohttp
from prometheus_client import CollectorRegistry, Gauge

from finetune_operator.runtime.health import Health, serving
from support.ports import free_port


def test_a_part_that_shows_no_sign_of_life_is_named_with_its_silence() -> None:
    now = [100.0]
    health = Health(lambda: now[0])
    beat = health.expect("watch", 60)
    now[0] += 60
    assert health.problems() == []
    now[0] += 1
    assert health.problems() == ["watch: no sign of life for 61 s"]
    beat()
    assert health.problems() == []


def test_a_part_may_tell_itself_what_is_wrong_with_it() -> None:
    health, said = Health(), list[str]()
    health.check("queue", lambda: said[0] if said else None)
    assert health.problems() == []
    said.append("a worker is stuck")
    assert health.problems() == ["queue: a worker is stuck"]


def test_probes_and_metrics_are_answered() -> None:
    asyncio.run(_ask_all())


async def _ask_all() -> None:
    health, registry = Health(), CollectorRegistry()
    Gauge("depth", "How deep.", registry=registry).set(3)
    probes, metrics = free_port(), free_port()

    async def answer(port: int, path: str) -> tuple[int, str]:
        async with session.get(f"http://127.0.0.1:{port}{path}") as got:
            return got.status, await got.text()

    async with serving(health, registry, probes, metrics), aiohttp.ClientSession() as session:
        assert await answer(probes, "/healthz") == (200, "ok\n")
        assert await answer(probes, "/readyz") == (503, "not listed yet\n")
        health.ready = True
        health.check("queue", lambda: "stuck")
        assert await answer(probes, "/readyz") == (200, "ok\n")
        assert await answer(probes, "/healthz") == (500, "queue: stuck\n")
        status, text = await answer(metrics, "/metrics")
        assert (status, "depth 3.0" in text) == (200, True)
        assert (await answer(metrics, "/healthz"))[0] == 404
