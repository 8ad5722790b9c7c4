"""Volumes of a pod, and where its containers see them."""

from dataclasses import dataclass
from typing import Final

from finetune_api.job.pods import PodVolume
from finetune_api.job.volumes import DatasetInput, ModelInput, Volume
from finetune_api.names import config_map_name, output_claim_name
from finetune_operator.children.blueprint import Blueprint, Body

OUTPUT: Final = "/output"
CONFIG: Final = "/etc/finetune"
CODE: Final = "/code"
SCRATCH: Final = "/scratch"
CERTIFICATES: Final = "/etc/ssl/finetune"
CA_FILE: Final = "ca.crt"
FETCHED: Final = "fetched"
"""Directory of the output below which fetched inputs lie."""


@dataclass(frozen=True)
class Mounted:
    """A volume together with its mounts; a mount without a volume shows a part of another one."""

    mount: Body
    volume: Body | None = None


def volumes_of(job: Blueprint) -> list[Mounted]:
    """Return what the container that prepares or trains sees: configuration, inputs, output and scratch."""
    return [*_basic(job), *_code(job), *_inputs(job)]


def fetching_volumes_of(job: Blueprint) -> list[Mounted]:
    """Return what the container that fetches sees: no code of the user's, and nothing it could read but the config."""
    return [*_basic(job), *certificates_of(job)]


def certificates_of(job: Blueprint) -> list[Mounted]:
    """Return the certificates of a private authority, if the operator's settings name some."""
    pods = job.settings.pods
    if pods.ca_config_map is None:
        return []
    source = {"name": pods.ca_config_map, "items": [{"key": pods.ca_key, "path": CA_FILE}]}
    mount = {"name": "certificates", "mountPath": CERTIFICATES, "readOnly": True}
    return [Mounted(mount, {"name": "certificates", "configMap": source})]


def bodies(mounted: list[Mounted]) -> tuple[list[Body], list[Body]]:
    """Split into the pod's volumes and the container's mounts."""
    return [one.volume for one in mounted if one.volume is not None], [one.mount for one in mounted]


def output_claim(job: Blueprint) -> str:
    """Return the name of the claim that receives the results."""
    volume = job.spec.output.volume
    return volume.persistent_volume_claim.claim_name if volume else output_claim_name(job.name)


def extra_volume(volume: PodVolume) -> Body:
    """Return a volume of `podTemplate.volumes`."""
    if volume.persistent_volume_claim:
        return {"name": volume.name, "persistentVolumeClaim": _claim(volume.persistent_volume_claim.claim_name)}
    if volume.config_map:
        return {"name": volume.name, "configMap": {"name": volume.config_map.name}}
    empty = volume.empty_dir.model_dump(mode="json") if volume.empty_dir else {}
    return {"name": volume.name, "emptyDir": empty}


def _basic(job: Blueprint) -> list[Mounted]:
    pods = job.settings.pods
    sub_path = {"subPath": job.spec.output.sub_path} if job.spec.output.sub_path else {}
    return [
        Mounted(
            {"name": "config", "mountPath": CONFIG, "readOnly": True},
            {"name": "config", "configMap": {"name": config_map_name(job.name)}},
        ),
        Mounted(
            {"name": "output", "mountPath": OUTPUT, **sub_path},
            {"name": "output", "persistentVolumeClaim": _claim(output_claim(job))},
        ),
        _empty("scratch", SCRATCH, {"sizeLimit": pods.scratch_size}),
        # Libraries that ignore TMPDIR would find a read-only root.
        Mounted({"name": "scratch", "mountPath": "/tmp", "subPath": "tmp"}),
        _empty("shared-memory", "/dev/shm", {"medium": "Memory", "sizeLimit": pods.shared_memory_size}),
    ]


def _empty(name: str, path: str, source: Body) -> Mounted:
    return Mounted({"name": name, "mountPath": path}, {"name": name, "emptyDir": source})


def _code(job: Blueprint) -> list[Mounted]:
    if job.spec.code is None:
        return []
    source = {"name": "code", "configMap": {"name": job.spec.code.config_map.name}}
    return [Mounted({"name": "code", "mountPath": CODE, "readOnly": True}, source)]


def _inputs(job: Blueprint) -> list[Mounted]:
    parts = (("dataset", job.spec.dataset), ("model", job.spec.model))
    return [mounted for name, part in parts if part is not None for mounted in _input(job, name, part)]


def _input(job: Blueprint, name: str, part: DatasetInput | ModelInput) -> list[Mounted]:
    if part.volume is not None:
        mount = {"name": name, "mountPath": part.mount_path, "readOnly": True}
        return [Mounted(mount, {"name": name, **_source(part.volume)})]
    if part.source is not None:
        inside = "/".join(filter(None, (job.spec.output.sub_path, FETCHED, name)))
        return [Mounted({"name": "output", "mountPath": part.mount_path, "subPath": inside, "readOnly": True})]
    return []


def _source(volume: Volume) -> Body:
    if volume.config_map is not None:
        return {"configMap": {"name": volume.config_map.name}}
    claim = volume.persistent_volume_claim
    return {"persistentVolumeClaim": {**_claim(claim.claim_name if claim else ""), "readOnly": True}}


def _claim(name: str) -> Body:
    return {"claimName": name}
