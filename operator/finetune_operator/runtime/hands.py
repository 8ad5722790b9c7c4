"""Creates and deletes what a plan says, and remembers what the API server answered."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

from finetune_operator.cluster.client import ApiError, Client
from finetune_operator.cluster.resources import BY_KIND, PODS, Resource, resource_of
from finetune_operator.decision import Deletion
from finetune_operator.observed import Refusal, is_ours
from finetune_operator.runtime.store import JobKey
from finetune_operator.runtime.world import JobMemory, World

Body = dict[str, Any]

_AT_ONCE: Final = 16
"""Requests for one job at the same time."""
_REFUSALS: Final = (400, 403, 404, 422)
"""Answers that will be the same next time, until somebody changes something; 404 is said of an unknown kind."""


class Hands:
    """Does what plans say to children."""

    def __init__(self, client: Client, world: World, now: Callable[[], datetime]) -> None:
        self._client, self._world, self._now = client, world, now

    async def create(self, key: JobKey, memory: JobMemory, bodies: Sequence[Body]) -> bool:
        """Create what pods stand on, then pods; return whether all exist now and are ours.

        Raises ApiError or Unreachable for answers that may be different next time.
        """
        pods = [body for body in bodies if body["kind"] == PODS.kind]
        for group in ([body for body in bodies if body["kind"] != PODS.kind], pods):
            made = await _each([self._create(key, memory, body) for body in group])
            if not all(made):
                return False
        return True

    async def delete(self, key: JobKey, memory: JobMemory, deletions: Sequence[Deletion]) -> None:
        """Delete, but never what took the place of the object that was seen."""
        await _each([self._delete(key, memory, deletion) for deletion in deletions])

    async def _create(self, key: JobKey, memory: JobMemory, body: Body) -> bool:
        resource, name = resource_of(body), body["metadata"]["name"]
        try:
            made = await self._client.create(resource, body, key.namespace)
        except ApiError as error:
            if error.code == 409 and error.reason == "AlreadyExists":
                return await self._adopt(key, memory, resource, name)
            if error.code not in _REFUSALS:
                raise
            memory.refusals[body["kind"], name] = Refusal(body["kind"], name, error.code, error.message, self._now())
            return False
        memory.refusals.pop((body["kind"], name), None)
        self._world.put(resource, made)
        return True

    async def _adopt(self, key: JobKey, memory: JobMemory, resource: Resource, name: str) -> bool:
        """Something bears the name already: ours from an earlier round whose answer was lost, or another's."""
        found = await self._client.get(resource, name, key.namespace)
        memory.refusals.pop((resource.kind, name), None)
        if is_ours(found, memory.uid):
            self._world.put(resource, found)
            return True
        memory.foreign[resource.kind, name] = found
        return False

    async def _delete(self, key: JobKey, memory: JobMemory, deletion: Deletion) -> None:
        resource, grace = self._resource(key, memory, deletion), deletion.grace
        try:
            await self._client.delete(resource, deletion.name, key.namespace, uid=deletion.uid, grace=grace)
        except ApiError as error:
            if error.code not in (404, 409):
                raise
        self._note_gone(resource, key, deletion)

    def _resource(self, key: JobKey, memory: JobMemory, deletion: Deletion) -> Resource:
        """Two groups call their kind PodGroup; the object itself tells which it is."""
        known = (*self._world.children(key), *memory.foreign.values())
        seen = [body for body in known if body["metadata"].get("uid") == deletion.uid]
        return resource_of(seen[0]) if seen else BY_KIND[deletion.kind]

    def _note_gone(self, resource: Resource, key: JobKey, deletion: Deletion) -> None:
        """What is watched tells of its end itself, with its last words; nobody tells of the rest."""
        store = self._world.store(resource)
        known = store.get(key.namespace, deletion.name) if store is not None else None
        watched = resource.kind in ("Pod", "FinetuneJob")
        if known is not None and not watched and known["metadata"].get("uid") == deletion.uid:
            self._world.remove(resource, known)


async def _each(actions: Sequence[Any]) -> list[Any]:
    """Do all, a few at a time; only then raise the first of their errors."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(action: Any) -> Any:
        async with gate:
            return await action

    results = await asyncio.gather(*(one(action) for action in actions), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results
