"""Faults that strike all jobs alike: the operator, the API server, nodes and the quota."""

import asyncio
import time
from collections import Counter
from typing import Final

from cluster.control_plane import ControlPlane
from cluster.simulated_nodes import HOLD, SimulatedNode
from soak import manifests
from soak.api import Api
from soak.ground import Ground
from soak.happenings import Body
from soak.operating import Operator
from soak.pods import NAMESPACE, Pods
from soak.scene import Pod
from soak.script import Fault, Stroke

_PEACE: Final = 180.0
_TICK: Final = 0.1
_LONGEST_AWAY: Final = 2.0
_OUT: Final = {"key": "node.kubernetes.io/out-of-service", "value": "nodeshutdown", "effect": "NoExecute"}
_QUOTAS: Final = f"/api/v1/namespaces/{NAMESPACE}/resourcequotas"


def node_named(number: int) -> str:
    """Return the name of a node."""
    return f"node-{number}"


class Strokes:
    """Strikes as the script says, until it is cancelled."""

    def __init__(self, plane: ControlPlane, operator: Operator, api: Api, ground: Ground, pods: Pods) -> None:
        self._plane, self._operator, self._api = plane, operator, api
        self._ground, self._pods = ground, pods
        self.struck: Counter[Fault] = Counter()
        self._clock = 0.0
        self._lost: dict[str, Fault] = {}
        """Nodes that are struck, and how, from the decision until they are back."""

    async def play(self, strokes: tuple[Stroke, ...]) -> None:
        """Strike one after the other, some while others still last."""
        async with asyncio.TaskGroup() as group:
            for stroke in strokes:
                while self._clock < stroke.at:
                    await self._tick()
                group.create_task(self._strike(stroke))

    async def _tick(self) -> None:
        """The clock of faults stands still while no operator is there, or on a slow machine none would ever act."""
        await asyncio.sleep(_TICK)
        if self._operator.ready:
            self._clock += _TICK

    async def _strike(self, stroke: Stroke) -> None:
        match stroke.fault:
            case Fault.OPERATOR_KILLED:
                self._operator.kill()
                await asyncio.sleep(stroke.seconds)
                self._operator.look_alive()
            case Fault.API_RESTARTED:
                async with self._ground.api_away():
                    self._plane.stop("kube-apiserver")
                    await asyncio.sleep(min(stroke.seconds, _LONGEST_AWAY))
                    self._plane.start_again("kube-apiserver")
            case Fault.QUOTA:
                await self._api.create(_QUOTAS, manifests.quota())
                await asyncio.sleep(1 + stroke.seconds)
                await self._api.delete(f"{_QUOTAS}/full")
            case _:
                await self._lose(stroke)
        self.struck[stroke.fault] += 1

    async def _lose(self, stroke: Stroke) -> None:
        """A node is lost for some seconds, and until the operator has seen it."""
        node = node_named(stroke.node)
        if node in self._lost:  # of two losses at once the first to end would bring the node back under the other
            return
        self._lost[node] = stroke.fault
        async with self._ground.losing(node, _PEACE):
            await self._break(stroke.fault, node)
            await self._ground.until(lambda: node in self._ground.scene.down, f"the loss of {node}", _PEACE)
            await asyncio.sleep(stroke.seconds)
            seen = f"what follows the loss of {node}, on which are {[pod.name for pod in self._open(node)]}"
            await self._ground.until(lambda: not self._open(node), seen, _PEACE)
            await self._bring_back(node)

    async def heal(self) -> None:
        """Bring back the nodes that are still struck when `play` was cancelled: nothing ever leaves those."""
        for node in list(self._lost):
            await self._bring_back(node)

    async def _bring_back(self, node: str) -> None:
        await self._mend(self._lost[node], node)
        await self._ground.until(lambda: node not in self._ground.scene.down, f"the return of {node}", _PEACE)
        self._pods.notice_all(node)
        del self._lost[node]

    async def _break(self, fault: Fault, node: str) -> None:
        path = f"/api/v1/nodes/{node}"
        if fault is Fault.NODE_DELETED:
            await self._api.delete(path)
            return
        spec: Body = {}
        if fault is Fault.NODE_OUT_OF_SERVICE:  # Kubernetes itself takes away what does not tolerate this
            spec = {"spec": {"taints": [_OUT]}}
        await self._api.patch(path, {"metadata": {"annotations": {HOLD: "down"}}, **spec})
        await self._api.patch(f"{path}/status", {"status": {"conditions": [_not_ready()]}})

    async def _mend(self, fault: Fault, node: str) -> None:
        if fault is Fault.NODE_DELETED:
            await self._api.create("/api/v1/nodes", SimulatedNode(node).body())
        else:
            back: Body = {"metadata": {"annotations": {HOLD: None}}, "spec": {"taints": None}}
            await self._api.patch(f"/api/v1/nodes/{node}", back)

    def _open(self, node: str) -> list[Pod]:
        """The pods on a node about whose loss the operator has yet to say a word."""
        found = [pod for pod in self._ground.scene.pods.values() if pod.node == node and not pod.over]
        return [pod for pod in found if self._is_open(pod)]

    def _is_open(self, pod: Pod) -> bool:
        job = self._ground.scene.jobs.get(pod.job_uid)
        if job is None or job.deleting or job.over:
            return False
        if pod.attempt is None:
            return not pod.leaving and not job.holds("DatasetPrepared")
        # That it leaves is no word of the operator's: Kubernetes itself takes pods from a node that is out of service.
        return not self._ground.scene.is_told(pod)


def _not_ready() -> Body:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    why = {"reason": "KubeletStopped", "message": "nobody answers", "lastHeartbeatTime": now, "lastTransitionTime": now}
    return {"type": "Ready", "status": "Unknown", **why}
