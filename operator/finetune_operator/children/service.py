"""The headless Service that gives every pod of a job a stable name."""

from finetune_api.names import JOB_UID_LABEL, service_name
from finetune_operator.children.blueprint import Blueprint, Body


def build_service(job: Blueprint) -> Body:
    """Build the Service; pods are found before they are ready, since they need each other to become so."""
    network = job.settings.network
    ports = [("master", network.master_port), ("progress", network.progress_port)]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": job.metadata(service_name(job.name)),
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": {JOB_UID_LABEL: job.uid},
            "ports": [{"name": name, "port": port, "protocol": "TCP"} for name, port in ports],
        },
    }
