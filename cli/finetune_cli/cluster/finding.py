"""Finds jobs, and says why when there are none."""

from typing import Any

from finetune_api.config.screen import nearest
from finetune_cli.cluster.job_view import JobView
from finetune_cli.cluster.session import NoAnswer
from finetune_operator.cluster.client import Client, Listing
from finetune_operator.cluster.errors import ApiError
from finetune_operator.cluster.resources import FINETUNE_JOBS, PODS

_INSTALL = "helm install finetune-operator charts/finetune-operator --namespace finetune-system --create-namespace"


async def list_jobs(client: Client, namespace: str | None, *, fields: str | None = None) -> Listing:
    """Return the jobs of a namespace, or of all when it is None; raises NoAnswer when nobody knows such objects."""
    try:
        return await client.list(FINETUNE_JOBS, namespace, fields=fields)
    except ApiError as error:
        if error.code == 404:
            raise NoAnswer(
                f"the cluster at {client.server} does not know FinetuneJobs; install the operator:\n  {_INSTALL}"
            ) from None
        raise


async def find_job(client: Client, namespace: str, name: str) -> JobView:
    """Return one job; raises NoAnswer that names the nearest ones when there is none of this name."""
    try:
        return JobView.of(await client.get(FINETUNE_JOBS, name, namespace))
    except ApiError as error:
        if error.code != 404:
            raise
    raise NoAnswer(await _missing(client, namespace, name))


async def _missing(client: Client, namespace: str, name: str) -> str:
    text = f"there is no FinetuneJob {name} in namespace {namespace}"
    try:
        found = [body["metadata"]["name"] for body in (await list_jobs(client, namespace)).items]
    except ApiError:
        return text
    if not found:
        return f"{text}, nor any other; name another namespace with -n"
    close = nearest(name, found)
    return f"{text}; did you mean {close}?" if close else f"{text}; there are {', '.join(sorted(found)[:5])}"


async def find_pod(client: Client, namespace: str, name: str) -> dict[str, Any] | None:
    """Return a pod, or None when there is none."""
    try:
        return await client.get(PODS, name, namespace)
    except ApiError as error:
        if error.code == 404:
            return None
        raise
