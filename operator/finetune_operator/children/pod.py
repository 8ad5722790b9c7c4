"""What every pod of a job has in common: it meets Pod Security *restricted*, whatever its author wrote."""

from collections.abc import Mapping, Sequence
from typing import Final

from finetune_api.job.policies import REQUIRED
from finetune_api.names import ATTEMPT_LABEL, JOB_UID_LABEL
from finetune_operator.children.avoidance import avoiding
from finetune_operator.children.blueprint import Blueprint, Body
from finetune_operator.children.volumes import OUTPUT, SCRATCH
from finetune_operator.settings import PodSettings

_CACHES: Final = {
    "HF_HOME": f"{SCRATCH}/huggingface",
    "HOME": SCRATCH,
    "TORCHINDUCTOR_CACHE_DIR": f"{SCRATCH}/inductor",
    "TRITON_CACHE_DIR": f"{SCRATCH}/triton",
    "XDG_CACHE_HOME": f"{SCRATCH}/cache",
}
HUB_CACHE: Final = f"{OUTPUT}/fetched/hub"
"""Where fetched models and tokenizers of the hub lie, for all pods of the job."""


def container_security() -> Body:
    """Return the security context of every container, sidecars included."""
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "privileged": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def pod_security(settings: PodSettings) -> Body:
    """Return the security context of a pod; users and groups are left out where the cluster assigns them."""
    ids = {
        "runAsUser": settings.run_as_user,
        "runAsGroup": settings.run_as_group,
        "fsGroup": settings.fs_group,
        "fsGroupChangePolicy": None if settings.fs_group is None else "OnRootMismatch",
    }
    given = {key: value for key, value in ids.items() if value is not None}
    return {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}, **given}


def base_environment(*, offline: bool) -> dict[str, str]:
    """Return the variables of every container: writable places, and no way to the hub unless it is to fetch."""
    hub = {"HF_HUB_CACHE": HUB_CACHE, **({"HF_HUB_OFFLINE": "1"} if offline else {})}
    return {**_CACHES, **hub, "TMPDIR": "/tmp", "USER": "finetune"}


def environment(variables: Mapping[str, str]) -> list[Body]:
    """Return variables in the order of their names."""
    return [{"name": name, "value": variables[name]} for name in sorted(variables)]


def container(job: Blueprint, name: str, command: Sequence[str], env: Sequence[Body], mounts: Sequence[Body]) -> Body:
    """Return a container of the trainer image that leaves its last words where Kubernetes reads them."""
    pull = job.spec.image_pull_policy or job.settings.pods.image_pull_policy
    policy = {"imagePullPolicy": pull} if pull else {}
    return {
        "name": name,
        "image": job.image,
        **policy,
        # Kubernetes would put a variable in the place of $(NAME), and these texts may come from a job's author.
        "command": [part.replace("$", "$$") for part in command],
        "env": list(env),
        "volumeMounts": list(mounts),
        "workingDir": SCRATCH,
        "securityContext": container_security(),
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
    }


def pod_spec(job: Blueprint, grace: int | None = None) -> Body:
    """Return what all pod specs share; containers and volumes are still to come.

    `grace`: seconds between SIGTERM and SIGKILL; None: the job's own.
    """
    spec = job.spec
    scheduling = spec.scheduling
    own_secrets = (secret.name for secret in spec.image_pull_secrets)
    secrets = dict.fromkeys([*job.settings.pods.image_pull_secrets, *own_secrets])
    optional: Body = {
        "imagePullSecrets": [{"name": name} for name in secrets],
        "priorityClassName": scheduling.priority_class_name,
        "runtimeClassName": scheduling.runtime_class_name,
        "schedulerName": scheduling.scheduler_name,
        "serviceAccountName": spec.service_account_name,
    }
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        # As process 1 of its own namespace, a program that has not yet set its handlers would not even notice SIGTERM.
        "shareProcessNamespace": True,
        "securityContext": pod_security(job.settings.pods),
        "terminationGracePeriodSeconds": spec.run_policy.grace_period_seconds if grace is None else grace,
        **{key: value for key, value in optional.items() if value},
    }


def placement(job: Blueprint, attempt: int, avoided: Sequence[str] = ()) -> Body:
    """Return where the training pods of an attempt may run: on none of the nodes `avoided`."""
    scheduling = job.spec.scheduling
    affinity = _together(job, attempt) if scheduling.topology_key else dict(scheduling.affinity)
    optional: Body = {
        "nodeSelector": dict(scheduling.node_selector),
        "tolerations": [one.model_dump(mode="json") for one in scheduling.tolerations],
        "affinity": avoiding(affinity, avoided),
    }
    return {key: value for key, value in optional.items() if value}


def _together(job: Blueprint, attempt: int) -> Body:
    """The job's affinity, and one of its own: to the other pods of the attempt, within one value of a node label."""
    affinity = job.spec.scheduling.affinity
    own = {JOB_UID_LABEL: job.uid, ATTEMPT_LABEL: str(attempt)}
    term = {"labelSelector": {"matchLabels": own}, "topologyKey": job.spec.scheduling.topology_key}
    to_pods = affinity.get("podAffinity") or {}
    return {**affinity, "podAffinity": {**to_pods, REQUIRED: [*(to_pods.get(REQUIRED) or []), term]}}
