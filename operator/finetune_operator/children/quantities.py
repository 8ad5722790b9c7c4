"""Amounts of resources, as Kubernetes writes them."""

from finetune_api.job.part import Quantities
from finetune_api.job.policies import Resources


def plain(quantities: Quantities) -> dict[str, str]:
    """Return quantities as text, which every reader takes alike."""
    return {name: str(amount) for name, amount in quantities.items()}


def resources_of(resources: Resources, devices: Quantities | None = None) -> dict[str, dict[str, str]]:
    """Return a container's resources; devices are limited to what is requested, as Kubernetes demands."""
    extra = plain(devices or {})
    limits = {**plain(resources.limits), **extra}
    requested = {name: amount for name, amount in limits.items() if "/" in name}
    requests = {**plain(resources.requests), **requested}
    return {key: value for key, value in (("requests", requests), ("limits", limits)) if value}
