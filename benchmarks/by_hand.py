"""The operator's writes without the operator: what the API server takes from a client that knows what to say.

Every job is planned before the clock starts; then its objects and its statuses are sent as fast as they are answered
for, each as soon as what it follows was seen. No operator that writes as much could be faster on this machine.
"""

import asyncio
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from benchmarks.contenders import job_body
from benchmarks.load import SENDERS, Body, Seen, Watching

from finetune_operator.cluster.client import Client
from finetune_operator.cluster.resources import FINETUNE_JOBS, resource_of
from finetune_operator.observed import SeenJob, Surroundings, observe
from finetune_operator.plan import plan
from finetune_operator.render import PLACEHOLDER_UID
from finetune_operator.runtime.merge_patch import merge_patch
from finetune_operator.settings import Settings

_REST: Final = 0.02
_PHASES: Final = ("Pending", "Running", "Succeeded")


@dataclass(frozen=True)
class Script:
    """Everything that is sent about one job."""

    job: Body
    statuses: list[Body]
    """Merge patches: when it is new, when all its pods run, when all have ended."""
    children: str
    """The objects of the first attempt, as JSON with a placeholder for the job's uid."""
    pods: list[str]
    """Their names."""

    @property
    def name(self) -> str:
        """The job's name."""
        return str(self.job["metadata"]["name"])

    def reached(self, seen: Seen) -> int:
        """Which of the statuses is true."""
        if all(pod in seen.ended for pod in self.pods):
            return 2
        return 1 if all(pod in seen.running for pod in self.pods) else 0


def script_of(name: str, pods: int) -> Script:
    """Plan a job from its beginning to its end, as the operator would."""
    document = job_body(name, pods)
    seen = SeenJob.of(document | {"metadata": document["metadata"] | {"uid": PLACEHOLDER_UID, "generation": 1}})
    now, made, statuses = datetime.now(UTC), list[Body](), list[Body]()
    for phase in _PHASES:
        bodies = [body | {"status": {"phase": phase}} for body in made]
        decided = plan(seen, observe(seen, Surroundings(pods=_pods(bodies), children=_others(bodies))), now, Settings())
        made += decided.create
        after = decided.status or seen.status
        statuses.append({"status": merge_patch(seen.status.to_json(), after.to_json())})
        seen = replace(seen, status=after)
    assert seen.status.state == "Complete", f"{name} is planned to end as {seen.status.state}"
    return Script(document, statuses, json.dumps(made), [body["metadata"]["name"] for body in _pods(made)])


class ByHand:
    """Sends scripts, and watches the pods that come of them."""

    def __init__(self, client: Client, watching: Watching) -> None:
        self._client, self._watching = client, watching

    async def send(self, scripts: list[Script]) -> None:
        """Send all that is to be said, and return when every job was said to be complete."""
        waiting = iter(scripts)

        async def begin() -> None:
            for script in waiting:
                await self._begin(script)

        await asyncio.gather(*(begin() for _ in range(SENDERS)), self._follow(scripts))

    async def _begin(self, script: Script) -> None:
        made = await self._client.create(FINETUNE_JOBS, script.job)
        await self._say(script, 0)
        children = json.loads(script.children.replace(PLACEHOLDER_UID, made["metadata"]["uid"]))
        for group in (_others(children), _pods(children)):
            await asyncio.gather(*(self._client.create(resource_of(body), body) for body in group))

    async def _follow(self, scripts: list[Script]) -> None:
        said = {script.name: 0 for script in scripts}
        while left := [script for script in scripts if said[script.name] < len(script.statuses) - 1]:
            await asyncio.sleep(_REST)
            due = [script for script in left if script.reached(self._watching.seen) > said[script.name]][:SENDERS]
            await asyncio.gather(*(self._say(script, said[script.name] + 1) for script in due))
            said |= {script.name: said[script.name] + 1 for script in due}

    async def _say(self, script: Script, number: int) -> None:
        await self._client.patch_status(FINETUNE_JOBS, script.name, script.statuses[number])


def _pods(bodies: list[Body]) -> list[Body]:
    return [body for body in bodies if body["kind"] == "Pod"]


def _others(bodies: list[Body]) -> list[Body]:
    return [body for body in bodies if body["kind"] != "Pod"]
