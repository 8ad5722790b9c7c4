"""What is done to a job, its pods and its attempts, when its story says so."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from soak import manifests
from soak.api import Api
from soak.ground import Ground
from soak.happenings import Body
from soak.pods import Pods, path_of
from soak.scene import Pod, Scene
from soak.script import Act, Kind, Story
from soak.words import drained, echo, end_of, succeeded

if TYPE_CHECKING:
    from soak.player import Player

_WINDOW: Final = 1.5
"""Seconds between an echo and its cause, within which the operator has to wait for the cause.

Far fewer than its `CAUSE_WINDOW`: its clock goes by whole seconds, which may cost nearly one, and on a busy machine it
hears of the cause later than of the echo.
"""
_RESIZE: Final = 4.0
_PATIENCE: Final = 180.0
_BY_NODES: Final = {
    Kind.EVICTED: ("Evicted", "The node was low on resource: memory."),
    Kind.SHUTDOWN: ("Terminated", "Pod was terminated in response to imminent node shutdown."),
    Kind.REJECTED: ("OutOfcpu", "Node didn't have enough resource: cpu"),
}


class Stage:
    """Does what people, nodes and training processes do."""

    def __init__(self, api: Api, pods: Pods, ground: Ground, taken: set[str]) -> None:
        self._api, self._pods, self._ground, self._taken = api, pods, ground, taken
        self.late_causes: set[tuple[str, int]] = set()
        """Attempts whose echo came so long before its cause that it may be taken for one."""

    @property
    def _scene(self) -> Scene:
        return self._ground.scene

    async def create(self, story: Story) -> None:
        """Somebody applies the job."""
        await self._api.create(manifests.JOBS, manifests.job(story))

    async def suspend(self, name: str, value: bool) -> None:
        """Somebody suspends or resumes the job."""
        await self._edit(name, {"runPolicy": {"suspend": value}})

    async def play(self, act: Act, player: "Player", number: int) -> None:
        """Do what an act says to an attempt whose pods all run."""
        pods = self._scene.pods_of(player.uid, number)
        victim = pods[act.rank % len(pods)]
        if act.checkpoint:
            self._pods.checkpoints[player.uid] = player.steps
        people: dict[Kind, Callable[[], Awaitable[None]]] = {
            Kind.SUSPEND: lambda: self._suspend(act, player, None),
            Kind.SUSPEND_CRASH: lambda: self._suspend(act, player, victim),
            Kind.RESTART_BUDGET: lambda: self._budget(act, player),
            Kind.RESIZE: lambda: self._resize(act, player, number),
            Kind.DELETE_JOB: lambda: self._delete(player),
            Kind.RECREATE_JOB: lambda: self._recreate(act, player),
        }
        if act.kind in people:
            await people[act.kind]()
        elif act.kind in (Kind.SUCCEED, Kind.ALREADY_COMPLETE):
            reason = "AlreadyComplete" if act.kind is Kind.ALREADY_COMPLETE else "Succeeded"
            words = succeeded(player.steps, reason)
            await asyncio.gather(*(self._pods.end(pod, 0, words=words) for pod in pods))
        elif act.kind is Kind.DRAIN:
            words = drained(player.steps, checkpoint=act.checkpoint)
            await asyncio.gather(*(self._pods.end(pod, 143, words=words) for pod in pods))
        elif act.kind is not Kind.OVERTIME:
            await self._strike(act, victim, pods, number)

    async def prepare(self, act: Act, pod: Pod) -> None:
        """Do what an act says to a pod that prepares."""
        if act.kind in (Kind.SUCCEED, Kind.ALREADY_COMPLETE):
            reason = "AlreadyComplete" if act.kind is Kind.ALREADY_COMPLETE else "Succeeded"
            facts = {"rows": 100, "tokens": 1000, "dropped": 0}
            await self._pods.end(pod, 0, words=succeeded(0, reason, dataset=facts))
        else:
            await self._hurt(act, pod, 0)

    async def _strike(self, act: Act, victim: Pod, pods: list[Pod], number: int) -> None:
        """The victim ends, and in its wake perhaps a peer that lost it, which may be seen first."""
        peer = next((pod for pod in pods if pod is not victim), None)
        if act.echo is None or peer is None:
            return await self._hurt(act, victim, number)
        async with self._ground.writing():
            begun = time.monotonic()
            if act.echo < 0:
                await self._pods.end(peer, 75, words=echo(peer.rank))
                await asyncio.sleep(-act.echo)
            await self._hurt(act, victim, number)
            if act.echo < 0 and time.monotonic() - begun > _WINDOW:
                self.late_causes.add((victim.job_uid, number))
        if act.echo >= 0:
            await asyncio.sleep(act.echo)
            await self._pods.end(peer, 75, words=echo(peer.rank))

    async def _hurt(self, act: Act, pod: Pod, number: int) -> None:
        if act.kind in _BY_NODES:
            reason, message = _BY_NODES[act.kind]
            await self._pods.write(pod, {"phase": "Failed", "reason": reason, "message": message})
        elif act.kind is Kind.EVICTION:
            self._taken.add(pod.uid)
            only = {"preconditions": {"uid": pod.uid}}
            body: Body = {"metadata": {"name": pod.name}, "apiVersion": "policy/v1", "kind": "Eviction"}
            body["deleteOptions"] = only
            await self._api.create(path_of(pod, "eviction"), body)
        elif act.kind in (Kind.POD_DELETED, Kind.POD_REMOVED):
            self._taken.add(pod.uid)
            await self._api.delete(path_of(pod), pod.uid, grace=0 if act.kind is Kind.POD_REMOVED else None)
        else:
            code, reason, words = end_of(act, number, str(pod.node))
            await self._pods.end(pod, code, reason, words)

    async def _suspend(self, act: Act, player: "Player", victim: Pod | None) -> None:
        await self.suspend(player.story.name, True)
        if victim is not None:
            await self._pods.end(victim, 1)

        def at_rest() -> bool:
            return player.job.holds("Suspended") or player.job.over is not None

        await self._ground.until(at_rest, f"{player.story.name}: suspension", _PATIENCE)
        await asyncio.sleep(act.pause)
        await self.suspend(player.story.name, False)

    async def _budget(self, act: Act, player: "Player") -> None:
        await self._edit(player.story.name, {"runPolicy": {"maxRestarts": act.value}})
        player.ledger.most = act.value

    async def _resize(self, act: Act, player: "Player", number: int) -> None:
        """The operator may end the attempt for more nodes, or let the next one have them."""
        player.resized = True
        await self._edit(player.story.name, {"nodes": act.value})

        def noticed() -> bool:
            told = player.job.attempt(number) or {}
            return bool(told.get("reason") or told.get("outcome"))

        try:
            async with asyncio.timeout(_RESIZE):
                await self._ground.until(noticed, "a new number of nodes", 2 * _RESIZE)
        except TimeoutError:
            return

    async def _delete(self, player: "Player") -> None:
        await self._api.delete(f"{manifests.JOBS}/{player.story.name}", player.uid)
        await self._ground.until(lambda: player.job.gone, f"{player.story.name}: deletion", _PATIENCE)
        player.deleted = True

    async def _recreate(self, act: Act, player: "Player") -> None:
        await self._delete(player)
        player.deleted = False
        await asyncio.sleep(act.pause)
        await player.create()

    async def _edit(self, name: str, spec: Body) -> None:
        await self._api.patch(f"{manifests.JOBS}/{name}", {"spec": spec})
