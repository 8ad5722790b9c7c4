"""Lost nodes: until when they stay away, and that none is left so."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from finetune_api.names import ATTEMPT_LABEL, JOB_UID_LABEL
from soak.ground import Ground
from soak.happenings import Body, Happening
from soak.memory import Memory
from soak.run import Soak
from soak.scene import Scene
from soak.script import Fault, Stroke, draw
from soak.strokes import Strokes

_NODE = "node-0"
_NODE_FAULTS = [Fault.NODE_NOT_READY, Fault.NODE_OUT_OF_SERVICE, Fault.NODE_DELETED]


def node(*, ready: bool = True, gone: bool = False) -> Happening:
    conditions = [{"type": "Ready", "status": "True" if ready else "Unknown"}]
    body = {"metadata": {"name": _NODE, "uid": "n"}, "spec": {}, "status": {"conditions": conditions}}
    return Happening(1, "Node", _NODE, body, gone=gone)


def pod(attempt: int | None = 0, *, leaving: bool = False, gone: bool = False) -> Happening:
    labels = {JOB_UID_LABEL: "1"} | ({} if attempt is None else {ATTEMPT_LABEL: str(attempt)})
    metadata: Body = {"name": "pod", "uid": "p", "labels": labels}
    metadata |= {"deletionTimestamp": "2026-01-01T00:00:00Z"} if leaving else {}
    body = {"metadata": metadata, "spec": {"nodeName": _NODE}, "status": {"phase": "Running"}}
    return Happening(1, "Pod", "pod", body, gone=gone)


def job(conditions: Body | None = None, **attempt: str) -> Happening:
    told = [{"type": kind, "status": "True", "reason": reason} for kind, reason in (conditions or {}).items()]
    status = {"attempts": [{"number": 0, "nodes": 1, **attempt}], "conditions": told}
    return Happening(1, "FinetuneJob", "job", {"metadata": {"name": "job", "uid": "1"}, "spec": {}, "status": status})


def scene(*happened: Happening) -> Scene:
    """What is there after these happenings."""
    found = Scene()
    for one in happened:
        found.take(one)
    return found


class Cluster:
    """An API server that does with the node what it is asked to, and notes who is told of its return."""

    def __init__(self) -> None:
        self.ground, self.noticed, self._there = Ground(Scene()), list[str](), True
        self.ground.scene.take(node())
        pods = SimpleNamespace(notice_all=self.noticed.append)
        self.strokes = Strokes(cast(Any, None), cast(Any, None), cast(Any, self), self.ground, cast(Any, pods))

    async def patch(self, path: str, body: Body) -> None:
        conditions = body.get("status", {}).get("conditions")
        held = any(body.get("metadata", {}).get("annotations", {}).values())
        if self._there and (conditions or not held):
            await self._news(node(ready=not conditions))

    async def delete(self, path: str) -> None:
        await self._news(node(gone=True))

    async def create(self, path: str, body: Body) -> None:
        await self._news(node())

    async def _news(self, one: Happening) -> None:
        self._there = not one.gone
        self.ground.scene.take(one)
        await self.ground.moved()

    async def loses(self, fault: Fault) -> None:
        """Let a stroke fall that is cancelled while it lasts."""
        stroke = asyncio.create_task(self.strokes._lose(Stroke(0.0, fault, 3600.0)))
        await self.ground.until(lambda: _NODE in self.ground.scene.down, "the loss", 60)
        stroke.cancel()
        await asyncio.gather(stroke, return_exceptions=True)


@pytest.mark.parametrize("fault", _NODE_FAULTS)
def test_a_node_that_is_struck_when_all_is_over_is_brought_back_and_its_pods_hear_of_it(fault: Fault) -> None:
    async def story() -> Cluster:
        cluster = Cluster()
        await cluster.loses(fault)
        assert cluster.ground.scene.down == {_NODE}
        await cluster.strokes.heal()
        await cluster.strokes.heal()
        return cluster

    cluster = asyncio.run(story())
    assert (cluster.ground.scene.down, cluster.noticed) == (set(), [_NODE])


def test_lost_nodes_are_back_before_the_jobs_are_deleted(tmp_path: Path) -> None:
    told: list[str] = []

    async def heal() -> None:
        told.append("healed")

    async def delete(path: str, uid: str) -> None:
        told.append("deleted")

    soak = Soak(draw(1, 1), Memory.of(tmp_path, 1, 1))
    soak._checker.scene.take(job())
    asyncio.run(soak._clear(cast(Any, SimpleNamespace(delete=delete)), cast(Any, SimpleNamespace(heal=heal))))
    soak._chronicle.close()
    assert told == ["healed", "deleted"]


LOST = node(ready=False)


@pytest.mark.parametrize(
    ("after", "waits"),
    [
        ((), True),
        ((pod(leaving=True),), True),  # Kubernetes itself takes it
        ((job(reason="Suspending"),), False),
        ((job(outcome="NodeLoss", reason="NodeLost"), pod(leaving=True)), False),
        ((job({"Failed": "DeadlineExceeded"}),), False),
        ((pod(leaving=True), pod(gone=True)), False),
    ],
)
def test_a_node_stays_away_until_the_operator_has_said_a_word_about_its_pods(
    after: tuple[Happening, ...], waits: bool
) -> None:
    cluster = Cluster()
    cluster.ground.scene = scene(job(), pod(), LOST, *after)
    assert bool(cluster.strokes._open(_NODE)) is waits


def test_a_pod_that_prepares_and_leaves_is_not_waited_for() -> None:
    cluster = Cluster()
    for leaving in (False, True):
        cluster.ground.scene = scene(job(), pod(None, leaving=leaving), LOST)
        assert bool(cluster.strokes._open(_NODE)) is not leaving


@pytest.mark.parametrize(
    ("happened", "swept"),
    [
        ((LOST, pod(gone=True)), True),
        ((pod(gone=True),), False),
        ((LOST, job(outcome="NodeLoss", reason="NodeLost"), pod(gone=True)), False),
    ],
)
def test_what_is_taken_from_a_lost_node_before_a_word_is_said_is_remembered(
    happened: tuple[Happening, ...], swept: bool
) -> None:
    assert scene(job(), pod(), *happened).swept == ({("1", 0)} if swept else set())
