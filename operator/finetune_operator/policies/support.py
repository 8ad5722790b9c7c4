"""The children that all pods of a job stand on; each is created if it is absent."""

from finetune_operator.children.claim import build_claim
from finetune_operator.children.config_map import build_config_map
from finetune_operator.children.network_policy import build_network_policy
from finetune_operator.children.service import build_service
from finetune_operator.view import View


def support(view: View) -> View:
    """Create what is missing of Service, ConfigMap, NetworkPolicy and claim, before any pod."""
    job = view.plans
    bodies = [build_config_map(job), build_service(job), build_network_policy(job)]
    template = view.spec.output.volume_claim_template
    if template is not None:
        bodies.append(build_claim(job, template))
    return view.creating(*(body for body in bodies if not view.observed.has(body["kind"], body["metadata"]["name"])))
