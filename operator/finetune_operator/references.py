"""Objects that a job's pods mount and somebody else creates: a pod without one of them waits, and does not say why.

The kubelet tells it in Events alone, which come and go. So the shell asks the API server for these objects, but only
while a pod waits for its volumes, and hands what does not exist to `plan` as `Observed.missing`.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from finetune_api.names import config_map_name, output_claim_name
from finetune_operator.children.blueprint import Blueprint, Body
from finetune_operator.children.prepare_pod import build_prepare_pod
from finetune_operator.children.training_pods import build_training_pods
from finetune_operator.observed import Observed, Reference, SeenJob
from finetune_operator.policies.accept import blueprint_of
from finetune_operator.seen_pod import SeenPod
from finetune_operator.settings import Settings


def worth_a_look(job: SeenJob, observed: Observed, now: datetime, settings: Settings) -> tuple[Reference, ...]:
    """Return what to ask the API server for now; empty unless a pod has waited for its volumes for a while."""
    prepare = observed.prepare_pod
    pods = (*observed.pods, *((prepare,) if prepare else ()))
    if not any(_stuck(pod, now, settings) for pod in pods):
        return ()
    blueprint = blueprint_of(job, settings)
    return references_of(blueprint) if blueprint else ()


def references_of(job: Blueprint) -> tuple[Reference, ...]:
    """Return what the job's pods mount, without the job's own children."""
    pods = [*([] if job.inline else [build_prepare_pod(job)]), *build_training_pods(job, 0, 1)]
    found = [reference for pod in pods for volume in pod["spec"]["volumes"] for reference in _of_volume(volume)]
    own = (Reference("ConfigMap", config_map_name(job.name)), *_own_claim(job))
    return tuple(dict.fromkeys(one for one in found if one not in own))


def _own_claim(job: Blueprint) -> tuple[Reference, ...]:
    template = job.spec.output.volume_claim_template
    return (Reference("PersistentVolumeClaim", output_claim_name(job.name)),) if template else ()


def _of_volume(volume: Body) -> Iterator[Reference]:
    if "configMap" in volume:
        yield Reference("ConfigMap", volume["configMap"]["name"])
    if "persistentVolumeClaim" in volume:
        yield Reference("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"])


def _stuck(pod: SeenPod, now: datetime, settings: Settings) -> bool:
    patience = timedelta(seconds=settings.timing.mount_patience)
    return pod.mounting and pod.placed is not None and now - pod.placed >= patience
