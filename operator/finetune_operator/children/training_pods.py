"""The pods of one attempt, rendered from the role that runs on a laptop too."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from torchx.specs import Role, macros

from finetune_api.job.pods import EnvVar, Sidecar, VolumeMount
from finetune_api.names import master_address, peer_addresses, service_name, training_pod_labels, training_pod_name
from finetune_operator.children.blueprint import Blueprint, Body
from finetune_operator.children.config_map import CONFIG_FILE
from finetune_operator.children.gang import Gang, gang_of
from finetune_operator.children.pod import (
    base_environment,
    container,
    container_security,
    environment,
    placement,
    pod_spec,
)
from finetune_operator.children.prepare_pod import CACHE, PYTHON, TERMINATION_LOG
from finetune_operator.children.quantities import resources_of
from finetune_operator.children.volumes import (
    CODE,
    CONFIG,
    OUTPUT,
    SCRATCH,
    bodies,
    extra_volume,
    volumes_of,
)
from finetune_operator.launch import NODE_RANK, LaunchPlan, build_app

SAVING_MARGIN = 5
"""Seconds of the grace period that the launcher keeps for its own last words."""


@dataclass(frozen=True)
class Terms:
    """What one attempt has been granted."""

    grace: int | None = None
    """Seconds between SIGTERM and SIGKILL; None: the job's own."""
    avoided: tuple[str, ...] = ()
    """Nodes on which none of its pods may run."""


AS_THE_JOB_SAYS: Final = Terms()


def build_training_pods(job: Blueprint, attempt: int, nodes: int, terms: Terms = AS_THE_JOB_SAYS) -> list[Body]:
    """Build the pods of an attempt, by rank."""
    grace = job.spec.run_policy.grace_period_seconds if terms.grace is None else terms.grace
    (role,) = build_app(launch_plan(job, attempt, nodes, grace)).roles
    gang = gang_of(job, attempt, nodes)
    shared = {**pod_spec(job, grace), **placement(job, attempt, terms.avoided)}
    return [_pod(job, _for_node(role, rank), gang, attempt, rank, shared) for rank in range(nodes)]


def launch_plan(job: Blueprint, attempt: int, nodes: int, grace: int) -> LaunchPlan:
    """Describe an attempt with the paths that its pods see."""
    spec = job.spec
    return LaunchPlan(
        name=job.name,
        config=f"{CONFIG}/{CONFIG_FILE}",
        output=OUTPUT,
        run_dir=f"{SCRATCH}/run-{NODE_RANK}",
        cache=CACHE,
        master_addr=master_address(job.name, attempt),
        master_port=job.settings.network.master_port,
        job_uid=job.uid,
        nodes=nodes,
        processes_per_node=job.processes,
        attempt=attempt,
        resume_from=spec.output.resume_from,
        code=CODE if spec.code else None,
        prepare="inline" if job.inline else "done",
        grace=max(0, grace - SAVING_MARGIN),
        preflight=spec.run_policy.preflight,
        peers=peer_addresses(job.name, attempt) if nodes > 1 else None,
        step_timeout=spec.run_policy.step_timeout_seconds,
        progress_port=job.settings.network.progress_port,
        termination_log=TERMINATION_LOG,
        image=job.image,
        python=PYTHON,
        environment=_variables(job),
    )


def _variables(job: Blueprint) -> dict[str, str]:
    network = {variable.name: variable.value for variable in job.spec.networking.env}
    return {**network, **base_environment(offline=True)}


def _for_node(role: Role, rank: int) -> Role:
    values = macros.Values(img_root="", app_id="", replica_id=str(rank), rank0_env="")
    # Only the arguments hold macros; in the environment, which the job's author writes, a $ is a $.
    return replace(role, args=[values.substitute(argument) for argument in role.args])


def _pod(job: Blueprint, role: Role, gang: Gang, attempt: int, rank: int, shared: Body) -> Body:
    template = job.spec.pod_template
    volumes, mounts = bodies(volumes_of(job))
    mounts += [_mount(mount) for mount in template.volume_mounts]
    sidecars = [_sidecar(sidecar) for sidecar in template.sidecars]
    name = training_pod_name(job.name, attempt, rank)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": job.metadata(name, _labels(job, gang, attempt, rank)) | {"annotations": _annotations(job, gang)},
        "spec": {
            **({"schedulerName": gang.scheduler} if gang.scheduler else {}),
            **shared,
            "hostname": name,
            "subdomain": service_name(job.name),
            **({"initContainers": sidecars} if sidecars else {}),
            "containers": [_trainer(job, role, mounts)],
            "volumes": [*volumes, *(extra_volume(volume) for volume in template.volumes)],
        },
    }


def _trainer(job: Blueprint, role: Role, mounts: list[Body]) -> Body:
    env = [*(_variable(variable) for variable in job.spec.pod_template.env), *environment(role.env)]
    trainer = container(job, "trainer", [role.entrypoint, *role.args], env, mounts)
    rdma = job.spec.networking.rdma_resource
    if rdma and job.settings.pods.rdma_ipc_lock:
        trainer["securityContext"]["capabilities"]["add"] = ["IPC_LOCK"]
    resources = resources_of(job.spec.resources, {rdma: 1} if rdma else None)
    return {**trainer, "resources": resources, "ports": _ports(job)}


def _labels(job: Blueprint, gang: Gang, attempt: int, rank: int) -> dict[str, str]:
    own = training_pod_labels(job.name, job.uid, attempt, rank)
    return {**job.spec.pod_template.labels, **job.settings.pods.labels, **gang.labels, **own}


def _annotations(job: Blueprint, gang: Gang) -> dict[str, str]:
    return {**job.spec.pod_template.annotations, **job.settings.pods.annotations, **gang.annotations}


def _ports(job: Blueprint) -> list[Body]:
    network = job.settings.network
    ports: Mapping[str, int] = {"master": network.master_port, "progress": network.progress_port}
    return [{"name": name, "containerPort": port, "protocol": "TCP"} for name, port in ports.items()]


def _variable(variable: EnvVar) -> Body:
    return variable.model_dump(mode="json")


def _mount(mount: VolumeMount) -> Body:
    return mount.model_dump(mode="json")


def _sidecar(sidecar: Sidecar) -> Body:
    # As an init container that is restarted for ever it runs beside the trainer, and yet lets the pod end.
    optional = {"command": list(sidecar.command), "args": list(sidecar.args)}
    return {
        "name": sidecar.name,
        "image": sidecar.image,
        **{key: value for key, value in optional.items() if value},
        "env": [_variable(variable) for variable in sidecar.env],
        "resources": resources_of(sidecar.resources),
        "volumeMounts": [_mount(mount) for mount in sidecar.volume_mounts],
        "securityContext": container_security(),
        "restartPolicy": "Always",
    }
