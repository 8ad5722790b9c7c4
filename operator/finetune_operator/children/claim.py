"""The claim made from `output.volumeClaimTemplate`."""

from finetune_api.job.volumes import ClaimTemplate
from finetune_api.names import output_claim_name
from finetune_operator.children.blueprint import Blueprint, Body
from finetune_operator.children.quantities import plain


def build_claim(job: Blueprint, template: ClaimTemplate) -> Body:
    """Build the claim; one that is retained has no owner, since an owner would take it along."""
    spec = template.spec
    storage_class = {"storageClassName": spec.storage_class_name} if spec.storage_class_name else {}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": job.metadata(output_claim_name(job.name), owned=template.when_deleted == "Delete"),
        "spec": {
            "accessModes": list(spec.access_modes),
            "resources": {"requests": plain(spec.resources.requests)},
            **storage_class,
        },
    }
