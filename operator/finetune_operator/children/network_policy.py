"""The NetworkPolicy of a job: torch.distributed runs what its peers send, so only peers may send."""

from typing import Final

from finetune_api.names import JOB_UID_LABEL, network_policy_name
from finetune_operator.children.blueprint import Blueprint, Body

_NAMESPACE_NAME: Final = "kubernetes.io/metadata.name"


def build_network_policy(job: Blueprint) -> Body:
    """Build the policy: the job's own pods reach each other; readers of progress reach that port alone."""
    own = {"matchLabels": {JOB_UID_LABEL: job.uid}}
    port = {"protocol": "TCP", "port": job.settings.network.progress_port}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": job.metadata(network_policy_name(job.name)),
        "spec": {
            "podSelector": own,
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [{"podSelector": own}]}, {"from": _readers(job), "ports": [port]}],
        },
    }


def _readers(job: Blueprint) -> list[Body]:
    network = job.settings.network
    operator = {
        "namespaceSelector": {"matchLabels": {_NAMESPACE_NAME: network.operator_namespace}},
        "podSelector": {"matchLabels": dict(network.operator_labels)},
    }
    scrapers = ({"namespaceSelector": {"matchLabels": {_NAMESPACE_NAME: name}}} for name in network.metrics_namespaces)
    return [operator, *scrapers]
