"""Lists at the start, now and then, and when a watch may have missed something."""

import asyncio
from collections.abc import Coroutine
from typing import Any, cast

import pytest

from finetune_operator.cluster.client import ApiError, Client, Listing, Unreachable
from finetune_operator.cluster.resources import Resource
from finetune_operator.runtime.resync import Resync
from finetune_operator.runtime.scope import Scope
from finetune_operator.runtime.store import JobKey
from finetune_operator.runtime.world import World
from support.virtual_time import run_virtually

KEY = JobKey("team", "arc")
JOB = {"metadata": {"name": "arc", "namespace": "team", "uid": "u", "resourceVersion": "1"}}


class Cluster:
    """Has one job; counts the rounds of lists, and what was listed where; may refuse."""

    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = [JOB]
        self.rounds = 0
        self.asked: list[tuple[str, str | None]] = []
        self.error: Exception | None = None
        self.refused: tuple[str, int] = "", 0

    async def list(self, resource: Resource, place: str | None, **_: Any) -> Listing:
        self.asked.append((resource.plural, place))
        if resource.plural == "finetunejobs":
            self.rounds += 1
            if self.error is not None:
                raise self.error
        if resource.plural == self.refused[0]:
            raise ApiError(self.refused[1], "Refused", "no")
        return Listing(self.items if resource.plural == "finetunejobs" else [], "5")


class Scene:
    """A resync of that cluster, and what it asks to be looked at."""

    def __init__(self, scope: Scope | None = None) -> None:
        self.cluster, self.looks, self.beats = Cluster(), list[tuple[JobKey, float]](), 0
        self.scope = scope or Scope()
        self.world = World(with_nodes=self.scope.cluster_wide)
        self.resync = Resync(
            cast(Client, self.cluster), self.world, self.scope,
            look_at=lambda key, seconds: self.looks.append((key, seconds)), beat=self._beat, interval=300.0,
        )  # fmt: skip

    def _beat(self) -> None:
        self.beats += 1


def play(scene: Coroutine[Any, Any, None]) -> None:
    run_virtually(scene)


async def working(scene: Scene, seconds: float) -> None:
    task = asyncio.create_task(scene.resync.work())
    await asyncio.sleep(seconds)
    assert not task.done()
    task.cancel()


def test_the_first_list_has_every_job_looked_at_now() -> None:
    async def run() -> None:
        scene = Scene()
        await scene.resync.first()
        assert (KEY, 0.0) in scene.looks
        assert scene.beats == 1
        assert ("nodes", None) in scene.cluster.asked

    play(run())


def test_chosen_namespaces_are_listed_each_and_nodes_not_at_all() -> None:
    async def run() -> None:
        scene = Scene(Scope(namespaces=("team", "other")))
        await scene.resync.first()
        assert [place for plural, place in scene.cluster.asked if plural == "pods"] == ["team", "other"]
        assert "nodes" not in {plural for plural, _ in scene.cluster.asked}
        assert len(scene.world.jobs) == 1  # a list of one namespace says nothing of another

    play(run())


def test_now_and_then_everything_is_listed_again_and_all_jobs_are_looked_at_spread_over_a_while() -> None:
    async def run() -> None:
        scene = Scene()
        await scene.resync.first()
        scene.looks.clear()
        await working(scene, 370)
        assert scene.cluster.rounds == 2
        ((key, seconds),) = scene.looks
        assert key == KEY
        assert 0 <= seconds <= 30

    play(run())


def test_many_questions_make_one_list_and_only_what_is_new_is_looked_at() -> None:
    async def run() -> None:
        scene = Scene()
        await scene.resync.first()
        scene.looks.clear()
        for _ in range(5):
            scene.resync.ask()
        await working(scene, 10)
        assert (scene.cluster.rounds, scene.looks) == (2, [])
        scene.cluster.items = []
        scene.resync.ask()
        await working(scene, 10)
        assert scene.looks == [(KEY, 0.0)]
        assert len(scene.world.jobs) == 0

    play(run())


def test_a_list_that_fails_is_tried_again_soon_and_is_no_sign_of_life() -> None:
    async def run() -> None:
        scene = Scene()
        scene.cluster.error = Unreachable("no answer")
        scene.resync.ask()
        await working(scene, 20)
        assert scene.cluster.rounds > 3
        assert scene.beats == 0

    play(run())


def test_children_that_may_not_be_listed_do_no_harm_but_other_errors_are_raised() -> None:
    async def run() -> None:
        scene = Scene()
        for code in (403, 404):
            scene.cluster.refused = "networkpolicies", code
            await scene.resync.first()
        scene.cluster.refused = "networkpolicies", 500
        with pytest.raises(ApiError, match="500"):
            await scene.resync.first()

    play(run())
