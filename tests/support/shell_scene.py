"""The operator's shell, round by round, against an API server in memory: no watches, no timers, no processes."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from finetune_api.status import JobStatus
from finetune_operator.cluster.client import Client
from finetune_operator.runtime.events_poster import EventPoster
from finetune_operator.runtime.metrics import Metrics
from finetune_operator.runtime.progress_puller import ProgressPuller
from finetune_operator.runtime.reconciler import Reconciler
from finetune_operator.runtime.resync import Resync
from finetune_operator.runtime.scope import Scope
from finetune_operator.runtime.store import JobKey
from finetune_operator.runtime.work_queue import Again
from finetune_operator.runtime.world import World
from finetune_operator.settings import Settings
from support.fake_api_server import Body, FakeApiServer

KEY = JobKey("team", "arc-easy")


class Shell:
    """One operator; several may share a server."""

    def __init__(self, server: FakeApiServer, client: Client, scope: Scope | None = None) -> None:
        self.server, self.client = server, client
        self.now = datetime(2026, 1, 1, 12, tzinfo=UTC)
        self.asked: list[JobKey] = []
        scope = scope or Scope()
        self.world = World(with_nodes=scope.cluster_wide)
        self.metrics = Metrics()
        self.poster = EventPoster(client, "test", self.clock)
        self.puller = ProgressPuller(self.asked.append, self.clock)
        self.resync = Resync(client, self.world, scope, look_at=lambda key, _: self.asked.append(key))
        self.reconcile = Reconciler(
            client, self.world, Settings(), poster=self.poster, puller=self.puller, metrics=self.metrics, now=self.clock
        )

    def clock(self) -> datetime:
        """The time."""
        return self.now

    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.now += timedelta(seconds=seconds)

    async def look(self) -> None:
        """See everything as it is now."""
        await self.resync.first()

    async def round(self) -> float | None:
        """See everything and do one round."""
        await self.look()
        return await self.reconcile(KEY)

    async def settle(self, most: int = 20) -> int:
        """Do rounds until one writes nothing; return how many failed on the way."""
        failed = 0
        for _ in range(most):
            before = self.server.version
            try:
                after = await self.round()
            except Again:
                failed += 1
                continue
            if self.server.version == before and after != 0:
                return failed
        raise AssertionError(f"still writing after {most} rounds")

    @property
    def status(self) -> JobStatus:
        """The job's status as the server holds it."""
        return JobStatus.of(self.server.get("finetunejobs", KEY.name))

    def names(self) -> list[str]:
        """Names of the pods that exist."""
        return [pod["metadata"]["name"] for pod in self.server.of("pods")]


def act(scene: Callable[[Shell], Awaitable[None]], scope: Scope | None = None) -> FakeApiServer:
    """Play a scene with one operator and one ready node."""

    async def run() -> FakeApiServer:
        async with FakeApiServer().serving() as server, server.client() as client:
            add_node(server, "node-0")
            await asyncio.wait_for(scene(Shell(server, client, scope)), 60)
            return server

    return asyncio.run(run())


def add_node(server: FakeApiServer, name: str, ready: str = "True") -> None:
    """A node comes."""
    conditions = [{"type": "Ready", "status": ready}]
    server.put("nodes", {"metadata": {"name": name}, "status": {"conditions": conditions}})


def running(address: str = "127.0.0.1") -> Callable[[Body], None]:
    """What a kubelet does to a pod that starts."""

    def change(pod: Body) -> None:
        pod["spec"]["nodeName"] = "node-0"
        pod["status"] = {"phase": "Running", "podIP": address}

    return change


def ended(code: int = 0, told: str = "") -> Callable[[Body], None]:
    """What a kubelet does to a pod that ends."""

    def change(pod: Body) -> None:
        end: dict[str, Any] = {"exitCode": code, "finishedAt": "2026-01-01T12:00:00Z", "message": told}
        name = pod["spec"]["containers"][0]["name"]
        pod["status"] = {"phase": "Failed" if code else "Succeeded",
                         "containerStatuses": [{"name": name, "state": {"terminated": end}}]}  # fmt: skip

    return change


def run_all(server: FakeApiServer, change: Callable[[Body], None] | None = None) -> None:
    """All pods start, or whatever `change` does to them."""
    for pod in list(server.of("pods")):
        server.change("pods", pod["metadata"]["name"], change or running())
