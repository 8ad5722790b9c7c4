"""The pods' part: what a kubelet writes of a container that ended, and pods that save and leave when they are asked."""

import asyncio
import random
from datetime import UTC, datetime
from typing import Final

from soak.api import Api, Refused
from soak.happenings import Body
from soak.scene import Pod, Scene
from soak.words import drained

NAMESPACE: Final = "soak"
_PODS: Final = f"/api/v1/namespaces/{NAMESPACE}/pods"
_LONGEST_LEAVE: Final = 0.4
_OTHER: Final = "metadata.uid: Invalid value"
"""How the API server refuses what is written of a pod whose name another one has."""


def path_of(pod: Pod, subresource: str = "") -> str:
    """Return where the API server has a pod."""
    return f"{_PODS}/{pod.name}" + (f"/{subresource}" if subresource else "")


class Pods:
    """Writes what becomes of pods."""

    def __init__(self, api: Api, scene: Scene, seed: int) -> None:
        self._api, self._scene, self._seed = api, scene, seed
        self._leaving: dict[str, asyncio.Task[None]] = {}
        self.checkpoints: dict[str, int] = {}
        """By uid of a job, the step that its pods save when they are asked to leave."""

    async def end(self, pod: Pod, code: int, reason: str = "", words: str = "") -> None:
        """Write that the containers of a pod have ended."""
        now = _now()
        ended = {"exitCode": code, "reason": reason or ("Error" if code else "Completed"), "message": words}
        state = {"terminated": {**ended, "startedAt": now, "finishedAt": now}}
        statuses = [_container(one["name"], state) for one in pod.body["spec"]["containers"]]
        await self.write(pod, {"phase": "Failed" if code else "Succeeded", "containerStatuses": statuses})

    async def write(self, pod: Pod, status: Body) -> None:
        """Write the status of a pod, unless another bears its name by now."""
        try:
            await self._api.patch(path_of(pod, "status"), {"metadata": {"uid": pod.uid}, "status": status})
        except Refused as error:
            if _OTHER not in str(error):
                raise

    def notice(self, pod: Pod) -> None:
        """Have a pod that is asked to leave do so, if its node is there to tell it."""
        if pod.leaving and pod.uid not in self._leaving and pod.node not in self._scene.down:
            self._leaving[pod.uid] = asyncio.create_task(self._leave(pod))

    def notice_all(self, node: str) -> None:
        """A node is back, and hears what was asked of its pods meanwhile."""
        for pod in [pod for pod in self._scene.pods.values() if pod.node == node]:
            self.notice(pod)

    def look(self) -> None:
        """Raise what kept a pod from leaving: it would never do so, and nobody would know why."""
        for task in self._leaving.values():
            if task.done():
                task.result()

    async def close(self) -> None:
        """Forget those that are on their way."""
        for task in self._leaving.values():
            task.cancel()
        await asyncio.gather(*self._leaving.values(), return_exceptions=True)

    async def _leave(self, pod: Pod) -> None:
        """Say the last words, if nothing was said yet; then there is nothing left of it."""
        dice = random.Random(f"{self._seed} {pod.name}")
        await asyncio.sleep(dice.uniform(0.0, _LONGEST_LEAVE))
        if pod.node not in self._scene.down:
            if not pod.over:
                saved = self.checkpoints.get(pod.job_uid)
                words = drained(saved or 0, checkpoint=saved is not None) if dice.random() < 0.7 else ""
                await self.end(pod, 143 if words else 137, words=words)
            # By uid, which KWOK does not heed: the next pod of this name may be there already.
            await self._api.delete(path_of(pod), pod.uid, grace=0)
        self._leaving.pop(pod.uid, None)


def _container(name: str, state: Body) -> Body:
    return {
        "name": name,
        "image": "",
        "imageID": "",
        "restartCount": 0,
        "ready": False,
        "started": False,
        "state": state,
    }


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
