"""The fake API server with logs of pods, in a thread of its own, for commands that start an event loop themselves."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from aiohttp import web

from support.fake_api_server import FakeApiServer, Fault, Request

T = TypeVar("T")
NANO = 10**9


@dataclass
class Log:
    """What a container has written so far: nanoseconds and text."""

    lines: list[tuple[int, str]] = field(default_factory=list)
    ended: bool = False


class LogServer(FakeApiServer):
    """Serves `/log`, and can behave like a cluster without the CRD."""

    def __init__(self) -> None:
        super().__init__()
        self.logs: dict[tuple[str, str], Log] = {}
        self.without_crd = False
        self.log_pulse = 0.01
        """Seconds between two looks at what a container has written."""
        self._cuts = 0

    def pod(self, name: str, *, phase: str = "Running", told: str = "", **spec: Any) -> None:
        """Somebody creates a pod, or changes its phase."""
        ended = {"terminated": {"exitCode": int(phase == "Failed"), "message": told}}
        state = ended if phase in ("Succeeded", "Failed") else {"running": {}}
        names = {"prepare": "prepare"} if name.endswith("-prepare") else {"trainer": "trainer"}
        statuses = [{"name": one, "state": state} for one in names]
        status = {"phase": phase, **({} if phase == "Pending" else {"containerStatuses": statuses})}
        labels = {"finetune.dev/role": "trainer", "finetune.dev/attempt": "0", "finetune.dev/rank": "0"}
        self.put("pods", {"metadata": {"name": name, "labels": labels}, "spec": spec, "status": status})

    def written(self, pod: str, *lines: str, container: str = "trainer", at: float | None = None) -> None:
        """A container writes lines, from second `at` on, a millisecond apart."""
        log = self.logs.setdefault((pod, container), Log())
        begin = int(at * NANO) if at is not None else (log.lines[-1][0] + NANO if log.lines else 1_700_000_000 * NANO)
        log.lines += [(begin + place * 10**6, line) for place, line in enumerate(lines)]

    def ends(self, pod: str, phase: str = "Succeeded", container: str = "trainer", **more: Any) -> None:
        """A container ends, and with it the pod."""
        self.logs.setdefault((pod, container), Log()).ended = True
        self.pod(pod, phase=phase, **more)

    def cut_logs(self) -> None:
        """All streams of logs break."""
        self._cuts += 1

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        parts = request.path.strip("/").split("/")
        if self.without_crd and "finetune.dev" in parts:
            return web.Response(status=404, text="404 page not found\n")
        if parts[-1] != "log":
            return await super()._handle(request)
        self.requests.append(Request("GET", "log", parts[-2], dict(request.query), {}, {}))
        fault = self._fault(self.requests[-1])
        if fault is not None:
            return _refused(fault.code, fault.reason, fault.message)
        return await self._log(request, parts[3], parts[-2])

    async def _log(self, request: web.Request, namespace: str, pod: str) -> web.StreamResponse:
        container = request.query.get("container", "trainer")
        if ("pods", namespace, pod) not in self.objects:
            return _refused(404, "NotFound", f'pods "{pod}" not found')
        log = self.logs.get((pod, container))
        if log is None:
            message = f'container "{container}" in pod "{pod}" is waiting to start: ContainerCreating'
            return _refused(400, "BadRequest", message)
        answer = web.StreamResponse()
        await answer.prepare(request)
        sent, cuts = await self._send(answer, request.query, log, _start(request.query, log)), self._cuts
        while request.query.get("follow") and not log.ended:
            await asyncio.sleep(self.log_pulse)
            if self._cuts > cuts:
                assert request.transport is not None
                request.transport.abort()
                return answer
            sent = await self._send(answer, request.query, log, sent)
        await self._send(answer, request.query, log, sent)
        return answer

    async def _send(self, answer: web.StreamResponse, query: Mapping[str, str], log: Log, start: int) -> int:
        for at, text in log.lines[start:]:
            stamp = f"{_moment(at)}.{at % NANO:09}Z " if query.get("timestamps") else ""
            await answer.write(f"{stamp}{text}\n".encode())
        return len(log.lines)


def _start(query: Mapping[str, str], log: Log) -> int:
    since, tail = query.get("sinceTime"), query.get("tailLines")
    first = sum(f"{_moment(at)}Z" < since for at, _ in log.lines) if since else 0
    return max(first, len(log.lines) - int(tail)) if tail is not None else first


def _moment(at: int) -> str:
    return datetime.fromtimestamp(at // NANO, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _refused(code: int, reason: str, message: str) -> web.Response:
    return web.json_response({"kind": "Status", "code": code, "reason": reason, "message": message}, status=code)


class ThreadedCluster:
    """A `LogServer` in another thread, with a kubeconfig that leads to it."""

    def __init__(self, directory: Path) -> None:
        self.kubeconfig = directory / "kubeconfig"
        self.server = LogServer()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve()), daemon=True)

    def do(self, act: Callable[[LogServer], T]) -> T:
        """Let something happen in the cluster, and return what it returns."""

        async def acting() -> T:
            return act(self.server)

        return asyncio.run_coroutine_threadsafe(acting(), self._loop).result(60)

    def fail(self, method: str, plural: str, code: int, **more: Any) -> None:
        """Refuse the next request of this kind."""
        self.server.faults.append(Fault(method, plural, code, **more))

    @contextmanager
    def running(self) -> Iterator["ThreadedCluster"]:
        """Serve until the block ends."""
        self._thread.start()
        assert self._ready.wait(60)
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(60)
            self._loop.close()

    async def _serve(self) -> None:
        async with self.server.serving():
            self.kubeconfig.write_text(json.dumps(kubeconfig_of(self.server.url)), encoding="utf-8")
            self._ready.set()
            await self._stop.wait()


def kubeconfig_of(url: str) -> dict[str, Any]:
    """A kubeconfig with one context, in namespace `team`."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "fake",
        "contexts": [{"name": "fake", "context": {"cluster": "fake", "namespace": "team"}}],
        "clusters": [{"name": "fake", "cluster": {"server": url}}],
    }
