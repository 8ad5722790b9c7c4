"""The operator as a process: kopf's watches, the queue, probes, metrics, and how it ends."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from finetune_api.outcomes import Outcome, TerminationMessage
from support.fake_api_server import FakeApiServer
from support.operator_jobs import inline_job
from support.ports import free_port
from support.shell_scene import add_node, ended, run_all

PATIENCE = 120.0
"""Seconds for anything that has to come: only what never comes takes so long."""
SUCCEEDED = TerminationMessage(outcome=Outcome.SUCCEEDED, step=4).to_json()


class Operator:
    """A running process."""

    def __init__(self, process: asyncio.subprocess.Process, health: int, metrics: int) -> None:
        self.process, self.health, self.metrics = process, health, metrics

    async def get(self, port: int, path: str) -> tuple[int, str]:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as answer:
            return answer.status, await answer.text()

    async def stop(self) -> tuple[int, float, str]:
        """End it as Kubernetes does; return its code, how long that took, and its log."""
        begun = time.monotonic()
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        _, log = await asyncio.wait_for(self.process.communicate(), PATIENCE)
        return self.process.returncode or 0, time.monotonic() - begun, log.decode()


@asynccontextmanager
async def operating(server: FakeApiServer, tmp_path: Path, *more: str) -> AsyncIterator[Operator]:
    config = tmp_path / f"kubeconfig-{free_port()}"
    cluster = {"name": "c", "cluster": {"server": server.url}}
    context = {"name": "c", "context": {"cluster": "c", "namespace": "team"}}
    config.write_text(json.dumps({"current-context": "c", "clusters": [cluster], "contexts": [context]}))
    health, metrics = free_port(), free_port()
    arguments = ["--kubeconfig", str(config), "--health-port", str(health), "--metrics-port", str(metrics), *more]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "finetune_operator", *arguments, stderr=asyncio.subprocess.PIPE,
        stdin=asyncio.subprocess.DEVNULL, env={**os.environ, "NO_PROXY": "*"},
    )  # fmt: skip
    try:
        yield Operator(process, health, metrics)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def until(condition: Any, seconds: float = PATIENCE) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


async def noted(operator: Any, counter: str, seconds: float = PATIENCE) -> None:
    """Wait until a counter of the operator is no longer 0."""
    async with asyncio.timeout(seconds):
        while f"{counter} 0.0" in (await operator.get(operator.metrics, "/metrics"))[1]:
            await asyncio.sleep(0.02)


def state(server: FakeApiServer, name: str = "arc-easy") -> Any:
    return (server.get("finetunejobs", name).get("status") or {}).get("state")


def test_a_job_is_followed_through_the_watches_to_its_end(tmp_path: Path) -> None:
    async def run() -> None:
        async with FakeApiServer().serving() as server, operating(server, tmp_path) as operator:
            add_node(server, "node-0")
            await until(lambda: server.count("GET", "pods") >= 3)  # our list, kopf's list, kopf's watch
            server.put("finetunejobs", inline_job())
            await until(lambda: len(server.of("pods")) == 2)
            run_all(server)
            await until(lambda: state(server) == "Running")
            assert await operator.get(operator.health, "/readyz") == (200, "ok\n")
            assert await operator.get(operator.health, "/healthz") == (200, "ok\n")
            run_all(server, ended(0, SUCCEEDED))
            await until(lambda: state(server) == "Complete")
            await until(lambda: "Succeeded" in {event["reason"] for event in server.of("events")})
            _, metrics = await operator.get(operator.metrics, "/metrics")
            assert 'finetune_operator_jobs{state="Complete"} 1.0' in metrics
            assert "arc-easy" not in metrics
            code, seconds, log = await operator.stop()
            assert code == 0
            assert seconds < 30  # what Kubernetes gives it
            lines = [json.loads(line) for line in log.splitlines()]
            assert {line.get("job") for line in lines} >= {"team/arc-easy"}
            assert not [line for line in lines if line["level"] == "error"]
            job = server.get("finetunejobs", "arc-easy")
            assert "annotations" not in job["metadata"]
            assert "finalizers" not in job["metadata"]

    asyncio.run(run())


def test_watches_that_end_or_are_too_late_are_opened_again_and_nothing_is_missed(tmp_path: Path) -> None:
    async def run() -> None:
        async with FakeApiServer().serving() as server, operating(server, tmp_path) as operator:
            add_node(server, "node-0")
            await until(lambda: server.count("GET", "pods") >= 3)
            server.put("finetunejobs", inline_job())
            await until(lambda: len(server.of("pods")) == 2)
            run_all(server)
            await until(lambda: state(server) == "Running")
            await asyncio.sleep(0.5)
            # What happens now is in no watch: the pod is gone, and with it the history that tells so.
            server.cut_streams()
            server.remove("pods", "arc-easy-0-1")
            server.forget_history()
            await until(lambda: len(server.get("finetunejobs", "arc-easy")["status"]["attempts"]) == 2)
            first = server.get("finetunejobs", "arc-easy")["status"]["attempts"][0]
            assert first["outcome"] == "Disruption"
            assert (await operator.stop())[0] == 0

    asyncio.run(run())


def test_an_error_in_a_watch_that_ends_kopf_does_not_end_us(tmp_path: Path) -> None:
    async def run() -> None:
        async with FakeApiServer().serving() as server, operating(server, tmp_path) as operator:
            add_node(server, "node-0")
            await until(lambda: server.count("GET", "pods") >= 3)
            server.break_watches = True
            server.cut_streams()
            await noted(operator, "finetune_operator_watch_restarts_total")
            server.break_watches = False
            server.put("finetunejobs", inline_job())
            await until(lambda: len(server.of("pods")) == 2)
            code, _, log = await operator.stop()
            assert code == 0
            assert "the watches ended" in log

    asyncio.run(run())


def test_an_error_in_one_watch_does_not_leave_the_others_without_it(tmp_path: Path) -> None:
    """kopf asks the others to end, and waits for one that does not hear it."""

    async def run() -> None:
        async with FakeApiServer().serving() as server, operating(server, tmp_path) as operator:
            add_node(server, "node-0")
            await until(lambda: server.count("GET", "pods") >= 3)
            server.broken_kind = "finetunejobs"
            server.put("finetunejobs", {**inline_job(), "metadata": {"name": "other"}})
            await noted(operator, "finetune_operator_watch_restarts_total")
            server.broken_kind = ""
            server.put("finetunejobs", inline_job())
            await until(lambda: len(server.of("pods")) == 4)
            assert (await operator.stop())[0] == 0

    asyncio.run(run())


def test_an_operator_waits_for_an_api_server_that_does_not_answer_yet(tmp_path: Path) -> None:
    async def run() -> None:
        absent = FakeApiServer()
        absent.url = f"http://127.0.0.1:{free_port()}"
        async with operating(absent, tmp_path) as operator:
            log = operator.process.stderr
            assert log is not None
            line = await asyncio.wait_for(log.readline(), PATIENCE)
            assert b"waiting for the API server" in line
            assert (await operator.get(operator.health, "/healthz"))[0] == 200
            assert (await operator.get(operator.health, "/readyz"))[0] == 503
            assert (await operator.stop())[0] == 0

    asyncio.run(run())


def test_of_two_operators_one_works_and_the_other_takes_over_when_it_leaves(tmp_path: Path) -> None:
    async def run() -> None:
        lease = ("--lease", "team/operator")
        async with FakeApiServer().serving() as server:
            add_node(server, "node-0")
            async with operating(server, tmp_path, *lease) as first:
                await until(lambda: server.of("leases"))
                async with operating(server, tmp_path, *lease) as second:
                    await until(lambda: server.count("GET", "pods") >= 3)
                    holder = server.get("leases", "operator")["spec"]["holderIdentity"]
                    assert (await first.stop())[0] == 0
                    await until(lambda: server.get("leases", "operator")["spec"]["holderIdentity"] not in ("", holder))
                    server.put("finetunejobs", inline_job())
                    await until(lambda: len(server.of("pods")) == 2)
                    server.change("leases", "operator", lambda body: body["spec"].update(holderIdentity="another"))
                    code, _, log = await asyncio.wait_for(_end(second), PATIENCE)
                    assert code == 1
                    assert "another operator leads now" in log

    asyncio.run(run())


async def _end(operator: Operator) -> tuple[int, float, str]:
    _, log = await operator.process.communicate()
    return operator.process.returncode or 0, 0.0, log.decode()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--kubeconfig", "/nothing"], 2, "/nothing: cannot be read"),
        (["--settings", "/nothing"], 2, "/nothing"),
        (["--lease", "x"], 2, "expected NAMESPACE/NAME"),
        (["--namespace", "a", "--exclude-namespace", "b"], 2, "for an operator of the whole cluster"),
        (["--workers", "0"], 2, "expected a whole number from 1"),
    ],
)
def test_a_mistake_on_the_command_line_is_told_without_a_traceback(
    arguments: list[str], code: int, message: str, tmp_path: Path
) -> None:
    async def run() -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "finetune_operator", *arguments, stderr=asyncio.subprocess.PIPE
        )
        _, log = await asyncio.wait_for(process.communicate(), PATIENCE)
        assert message in log.decode()
        assert "Traceback" not in log.decode()
        assert process.returncode == code

    asyncio.run(run())


def test_a_cluster_without_the_definition_is_told_what_to_install(tmp_path: Path) -> None:
    async def run() -> None:
        async with FakeApiServer().serving() as server, operating(server, tmp_path) as operator:
            server.fail("GET", "finetunejobs", 404, reason="NotFound", times=100)
            code, _, log = await asyncio.wait_for(_end(operator), PATIENCE)
            assert code == 1
            assert "install crds/finetunejobs.yaml" in log
            assert "Traceback" not in log

    asyncio.run(run())
