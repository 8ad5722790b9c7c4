"""Gathers what a plan for one job depends on; asks the API server only for what no store can know."""

from collections.abc import Mapping, Sequence
from typing import Any

from finetune_api.names import JOB_UID_LABEL
from finetune_api.status import is_terminal
from finetune_operator.cluster.client import ApiError, Client
from finetune_operator.cluster.resources import BY_KIND, CONFIG_MAPS, NODES, PODS, resource_of
from finetune_operator.observed import Missing, Reference, SeenJob, Surroundings, is_ours
from finetune_operator.runtime.progress_reports import Report
from finetune_operator.runtime.store import JobKey
from finetune_operator.runtime.world import JobMemory, World, attempt_of

Body = dict[str, Any]


class Gatherer:
    """Looks at one job's surroundings."""

    def __init__(self, client: Client, world: World) -> None:
        self._client, self._world = client, world

    async def gather(self, key: JobKey, job: SeenJob, memory: JobMemory, report: Report | None) -> Surroundings:
        """Return what surrounds a job now."""
        await self._check_foreign(key, memory)
        foreign = list(memory.foreign.values())
        pods = self._world.pods.of_job(key)
        return Surroundings(
            pods=[*pods, *(body for body in foreign if body.get("kind") == PODS.kind)],
            gone_pods=list(memory.gone.values()),
            children=[*self._world.children(key), *(body for body in foreign if body.get("kind") != PODS.kind)],
            nodes=await self._nodes(pods),
            code=await self._code(key, job, pods),
            progress=report.progress if report else None,
            dataset=report.dataset if report else None,
            progress_error=report.error if report else None,
            first_step=report.first_step if report else None,
            refusals=memory.refused(),
        )

    async def refresh_pods(self, key: JobKey, job: SeenJob) -> None:
        """Read all pods of a job afresh: before a new attempt begins, nothing of an older one may be overlooked."""
        listing = await self._client.list(PODS, key.namespace, labels=f"{JOB_UID_LABEL}={job.uid}")
        self._world.sync(PODS, listing.items, listing.resource_version, lambda body: is_pod_of(body, job))

    async def missing(self, key: JobKey, references: Sequence[Reference]) -> tuple[Missing, ...]:
        """Return which of the objects that pods mount do not exist."""
        found = [await self._missing(key, reference) for reference in references]
        return tuple(one for one in found if one is not None)

    async def _missing(self, key: JobKey, reference: Reference) -> Missing | None:
        try:
            await self._client.get(BY_KIND[reference.kind], reference.name, key.namespace)
        except ApiError as error:
            if error.code not in (403, 404):
                raise
            return Missing(reference.kind, reference.name, error.message)
        return None

    async def _check_foreign(self, key: JobKey, memory: JobMemory) -> None:
        """What was in the way may have gone: children of a job that bore the name before go without a word."""
        for (kind, name), body in list(memory.foreign.items()):
            found = await self._found(key, body)
            if found is None or is_ours(found, memory.uid):
                del memory.foreign[kind, name]
            if found is not None and is_ours(found, memory.uid):
                self._world.put(resource_of(body), found)
        for body in [body for body in self._world.children(key) if not is_ours(body, memory.uid)]:
            found = await self._found(key, body)
            if found is None:
                self._world.remove(resource_of(body), body)
            else:
                self._world.put(resource_of(body), found)

    async def _found(self, key: JobKey, body: Body) -> Body | None:
        try:
            return await self._client.get(resource_of(body), body["metadata"]["name"], key.namespace)
        except ApiError as error:
            if error.code != 404:
                raise
            return None

    async def _nodes(self, pods: list[Body]) -> list[Body] | None:
        """A node that is not in the store may be newer than its watch; only the API server says that it is gone."""
        if self._world.nodes is None:
            return None
        names = {name for pod in pods if (name := pod["spec"]["nodeName"])}
        found = {name: self._world.nodes.get("", name) for name in names}
        for name in (name for name, body in found.items() if body is None):
            try:
                self._world.put(NODES, await self._client.get(NODES, name))
            except ApiError as error:
                if error.code != 404:
                    raise
            found[name] = self._world.nodes.get("", name)
        return [body for body in found.values() if body is not None]

    async def _code(self, key: JobKey, job: SeenJob, pods: list[Body]) -> Body | None:
        name = code_name(job.document)
        if name is None or not needs_code(job, pods):
            return None
        try:
            return await self._client.get(CONFIG_MAPS, name, key.namespace)
        except ApiError as error:
            if error.code != 404:
                raise
            return None


def code_name(document: Mapping[str, Any]) -> str | None:
    """Return the name in `spec.code.configMap`, which nobody has judged yet."""
    found: Any = document
    for part in ("spec", "code", "configMap", "name"):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found if isinstance(found, str) and found else None


def needs_code(job: SeenJob, pods: list[Body]) -> bool:
    """Tell whether the code matters now: when it is settled, and whenever an attempt begins."""
    status = job.status
    if is_terminal(status.conditions):
        return False
    newest = status.attempts[-1] if status.attempts else None
    if status.frozen is None or newest is None or newest.outcome is not None:
        return True
    return not any(attempt_of(pod) == newest.number for pod in pods)


def is_pod_of(body: Body, job: SeenJob) -> bool:
    """Tell whether a pod bears the uid of `job`."""
    return bool(body["metadata"]["labels"].get(JOB_UID_LABEL) == job.uid)
