"""One soak: a control plane, an operator, all stories and all faults at once, and a checker of every happening."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cluster.control_plane import ControlPlane, Parts
from cluster.ports import free_port
from cluster.simulated_nodes import SimulatedKubelet, SimulatedNode
from soak import manifests
from soak.acts import Stage
from soak.api import Api
from soak.ground import Ground, Overdue
from soak.happenings import STORED_AS_JSON, Happening, happenings
from soak.invariants import Breach, Checker, job_of
from soak.memory import Chronicle, Memory
from soak.operating import Operator, audit_flags
from soak.player import Player, Untrue
from soak.pods import NAMESPACE, Pods
from soak.script import FREE_LIMIT, NODES, Fault, Script, Story
from soak.strokes import Strokes, node_named
from soak.together import together
from soak.voices import Voices

CRDS: Final = Path(__file__).parents[2] / "crds"
_AT_ONCE: Final = 32
"""Stories in play at a time."""
_POD_NETWORK: Final = "127.1.0.1/16"
"""Addresses of this machine, so that each pod can be asked how far it is."""
_NO_ENDPOINTS: Final = "--controllers=*,-endpoints-controller,-endpointslice-controller"
"""They take no addresses of loopback, and would complain of every pod."""
_PATIENT: Final = "--node-monitor-grace-period=1h"
"""A node is lost when the script says so, and not when this machine is slow."""
_PULSE: Final = 0.5
_NOTED: Final = 60
"""Lines of a job's history that are shown where only the exception is."""
_GONE: Final = 120.0
MOST_MEGABYTES: Final = 400.0
MOST_REQUESTS: Final = 60
"""Of the operator, for each pod that it created, on the average."""


@dataclass
class Figures:
    """What a soak came to."""

    stories: int = 0
    seconds: float = 0.0
    attempts: Counter[str] = field(default_factory=Counter)
    """By outcome."""
    pods: int = 0
    happenings: int = 0
    checks: Counter[str] = field(default_factory=Counter)
    struck: Counter[Fault] = field(default_factory=Counter)
    requests: int = 0
    megabytes: float = 0.0
    ended_by_itself: int = 0
    asked: int = 0
    """For its progress."""


class Broken(Exception):
    """An invariant is broken."""

    def __init__(self, breach: Breach, story: str) -> None:
        super().__init__(str(breach))
        self.breach, self.history = breach, story
        self.add_note("\n".join(story.splitlines()[-_NOTED:]))


class Soak:
    """One run of a script; `play` is to be called in the main thread."""

    def __init__(
        self, script: Script, memory: Memory, *, package: Path | None = None,
        faults: frozenset[Fault] = frozenset(Fault), say: Callable[[str], None] = lambda line: None,
    ) -> None:  # fmt: skip
        self._script, self._memory, self._package, self._faults, self._say = script, memory, package, faults, say
        self._checker, self.figures = Checker(), Figures()
        self._ground = Ground(self._checker.scene)
        self._chronicle = Chronicle(memory.directory / "history.txt")
        self._begun = time.monotonic()

    async def play(self) -> Figures:
        """Play all stories that are left; raises Broken at the first invariant that does not hold."""
        directory = self._memory.directory
        kubelet = SimulatedKubelet(pod_network=_POD_NETWORK)
        flags = (*STORED_AS_JSON, *audit_flags(directory))
        parts = Parts(True, True, kubelet, api_server_flags=flags, controller_flags=[_NO_ENDPOINTS, _PATIENT])
        with ControlPlane(directory / "cluster", parts) as plane:
            plane.install(CRDS)
            self._begun = time.monotonic()
            async with Api(plane) as api:
                await self._set_up(api)
                await self._with_operator(plane, api)
        return self.figures

    async def _set_up(self, api: Api) -> None:
        for path, body in manifests.volume():
            await api.create(path, body)
        for number in range(NODES):
            await api.create("/api/v1/nodes", SimulatedNode(node_named(number)).body())

    async def _with_operator(self, plane: ControlPlane, api: Api) -> None:
        port, settings = free_port(), self._memory.directory / "settings.yaml"
        settings.write_text(json.dumps(manifests.settings(port, FREE_LIMIT)), encoding="utf-8")
        operator = Operator(plane, self._memory.directory, settings, self._package)
        pods = Pods(api, self._checker.scene, self._script.seed)
        voices = Voices(self._checker.scene, {story.name: story.voice for story in self._script.stories})
        strokes = Strokes(plane, operator, api, self._ground, pods)
        stage = Stage(api, pods, self._ground, self._checker.taken)
        operator.start()
        try:
            async with voices.speaking(port):
                beside = (self._watch(plane, pods), self._beat(plane, operator, strokes, pods), self._strike(strokes))
                await together(self._play_all(stage), *beside)
                after = (self._watch(plane, pods), self._beat(plane, operator, strokes, pods))
                await together(self._clear(api, strokes), *after)
        finally:
            operator.stop()
            await pods.close()
            self._chronicle.close()
        self._sum_up(operator, strokes, voices)

    async def _strike(self, strokes: Strokes) -> None:
        try:
            await strokes.play(tuple(one for one in self._script.strokes if one.fault in self._faults))
        except* Overdue as late:
            raise _unseen(late.exceptions[0]) from late

    # The stories

    async def _play_all(self, stage: Stage) -> None:
        left = iter([story for story in self._script.stories if story.name not in self._memory.done])

        async def some() -> None:
            for story in left:
                await self._play(story, stage)

        async with asyncio.TaskGroup() as group:
            for _ in range(_AT_ONCE):
                group.create_task(some())

    async def _play(self, story: Story, stage: Stage) -> None:
        player = Player(story, stage, self._ground)
        try:
            await player.play()
        except (Untrue, Overdue) as error:
            raise Broken(player.breach(error), self._chronicle.of(story.name)) from error
        self.figures.stories += 1
        self._memory.note_done(story.name)

    async def _clear(self, api: Api, strokes: Strokes) -> None:
        """Delete all jobs; what was theirs goes with them, without anybody's help, as far as their nodes are there."""
        self._say("all stories are told; deleting the jobs")
        try:
            await strokes.heal()
        except Overdue as late:
            raise _unseen(late) from late
        for job in list(self._checker.scene.jobs.values()):
            if not job.gone:
                await api.delete(f"{manifests.JOBS}/{job.name}", job.uid)
        try:
            await self._ground.until(lambda: not self._checker.children, "the end of all children", _GONE)
        except Overdue as error:
            left = sorted(self._checker.children.values())
            breach = Breach("no orphans are left", left[0][0], f"{len(left)} are: {left[:5]}")
            raise Broken(breach, self._chronicle.of(left[0][0])) from error

    # What goes on beside them

    async def _watch(self, plane: ControlPlane, pods: Pods) -> None:
        async for batch in happenings(plane.store, NAMESPACE, self._checker.scene.revision + 1):
            for one in batch:
                self._take(one, pods)
            if batch:
                await self._ground.moved()

    def _take(self, one: Happening, pods: Pods) -> None:
        job = job_of(one, self._checker.scene)
        self._chronicle.note(job, one)
        breaches = self._checker.take(one)
        self.figures.happenings += 1
        if one.kind == "Pod" and not one.gone:
            pods.notice(self._checker.scene.pods[one.body["metadata"]["uid"]])
        if breaches:
            raise Broken(breaches[0], self._chronicle.of(breaches[0].job))

    async def _beat(self, plane: ControlPlane, operator: Operator, strokes: Strokes, pods: Pods) -> None:
        while True:
            await asyncio.sleep(_PULSE)
            operator.look()
            pods.look()
            if not self._ground.api_away_now:
                plane.start_ended()  # a scheduler ends by itself when it has lost its way after an API server's restart
            if operator.peak_megabytes > MOST_MEGABYTES:
                what = f"its memory reached {operator.peak_megabytes:.0f} MiB"
                raise Broken(Breach("the operator's cost is bounded", "-", what), "")
            self._say(self._line(operator, strokes))

    def _line(self, operator: Operator, strokes: Strokes) -> str:
        jobs = len(self._script.stories)
        done = sum(story.name in self._memory.done for story in self._script.stories)
        seconds, pods = time.monotonic() - self._begun, len(self._checker.scene.pods)
        lost = sum(count for fault, count in strokes.struck.items() if fault.name.startswith("NODE"))
        return (
            f"seed {self._script.seed} | {seconds:4.0f} s | jobs {done}/{jobs} | {pods} pods | "
            f"{self.figures.happenings} happenings | operator killed {operator.kills} times | "
            f"API restarts {strokes.struck[Fault.API_RESTARTED]} | nodes lost {lost} | nothing broken"
        )

    def _sum_up(self, operator: Operator, strokes: Strokes, voices: Voices) -> None:
        figures, scene = self.figures, self._checker.scene
        figures.seconds = time.monotonic() - self._begun
        ended = (one.get("outcome", "open") for job in scene.jobs.values() for one in job.attempts)
        figures.attempts, figures.checks, figures.struck = Counter(ended), self._checker.checks, strokes.struck
        figures.pods = sum(kind == "Pod" for _, kind, _ in self._checker.made)
        figures.requests, figures.megabytes = sum(operator.requests().values()), operator.peak_megabytes
        figures.ended_by_itself, figures.asked = operator.ends, sum(voices.asked.values())
        for line in operator.complaints():
            raise Broken(Breach("the operator has nothing to complain of", "-", line[:2000]), "")
        if figures.requests > MOST_REQUESTS * max(1, figures.pods):
            what = f"{figures.requests} requests for {figures.pods} pods: {operator.requests().most_common(8)}"
            raise Broken(Breach("the operator's cost is bounded", "-", what), "")


def _unseen(late: Exception) -> Broken:
    return Broken(Breach("faults are seen", "-", str(late)), "")
