"""The children that all pods of a job stand on; each is created if it is absent."""

from collections.abc import Iterator
from typing import Final

from finetune_api.names import config_map_name, network_policy_name, output_claim_name, service_name
from finetune_operator.children.claim import build_claim
from finetune_operator.children.config_map import build_config_map
from finetune_operator.children.network_policy import build_network_policy
from finetune_operator.children.service import build_service
from finetune_operator.decision import Body
from finetune_operator.view import View

_ALWAYS: Final = (
    ("ConfigMap", config_map_name, build_config_map),
    ("Service", service_name, build_service),
    ("NetworkPolicy", network_policy_name, build_network_policy),
)


def support(view: View) -> View:
    """Create what is missing of Service, ConfigMap, NetworkPolicy and claim, before any pod."""
    return view.creating(*_missing(view))


def _missing(view: View) -> Iterator[Body]:
    """Build only what is to be created: a job is planned many times, and nearly always has it all."""
    name = view.job.name
    for kind, name_of, build in _ALWAYS:
        if not view.observed.has(kind, name_of(name)):
            yield build(view.plans)
    template = view.spec.output.volume_claim_template
    if template is not None and not view.observed.has("PersistentVolumeClaim", output_claim_name(name)):
        yield build_claim(view.plans, template)
