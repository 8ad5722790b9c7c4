"""Rules between the fields of a FinetuneJob, each with the sentence a user reads when it is broken."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from finetune_api.errors import Problem
from finetune_api.job.job import NAME_LENGTH, FinetuneJob
from finetune_api.job.part import Part, Quantities

_LABEL: Final = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
RESERVED_PATHS: Final = ("/code", "/dev", "/etc/finetune", "/output", "/proc", "/scratch", "/sys", "/tmp")
"""Directories of a pod in which nothing of the user's is mounted."""
RESERVED_DIRECTORIES: Final = ("/", "/etc")
"""Directories that may not be hidden as a whole."""
_DEVICE: Final = re.compile(r".*/.*")  # extended resources have a domain; cpu and memory have none


@dataclass(frozen=True)
class Rule:
    """A rule: the path it is about, its sentence, and whether a job keeps it, told in Python and in CEL."""

    path: str
    sentence: str
    holds: Callable[[FinetuneJob], bool]
    cel: str
    at: tuple[str, ...] = ()
    """Where `cel` finds its `self`, `[]` standing for every entry of a list; empty: at `path` itself."""


def rule_problems(job: FinetuneJob) -> Iterator[Problem]:
    """Yield a problem for each rule that `job` breaks."""
    return (Problem(rule.path, rule.sentence) for rule in RULES if not rule.holds(job))


def _given(part: Part | None, *names: str) -> int:
    return sum(getattr(part, name) is not None for name in names)


def _name_fits(job: FinetuneJob) -> bool:
    return len(job.metadata.name) <= NAME_LENGTH and bool(_LABEL.fullmatch(job.metadata.name))


def _within_elastic(job: FinetuneJob) -> bool:
    elastic = job.spec.elastic
    return elastic is None or elastic.min_nodes <= job.spec.nodes <= elastic.max_nodes


def _one_volume_kind(part: Any) -> bool:
    volume = part.volume if part else None
    return volume is None or _given(volume, "persistent_volume_claim", "config_map") == 1


def _shared_output(job: FinetuneJob) -> bool:
    template = job.spec.output.volume_claim_template
    most = job.spec.elastic.max_nodes if job.spec.elastic else job.spec.nodes
    return template is None or most == 1 or "ReadWriteMany" in template.spec.access_modes


def _devices(quantities: Quantities) -> dict[str, str]:
    return {name: str(amount) for name, amount in quantities.items() if _DEVICE.fullmatch(name)}


def _devices_agree(job: FinetuneJob) -> bool:
    requests, limits = _devices(job.spec.resources.requests), _devices(job.spec.resources.limits)
    return all(limits.get(name) == amount for name, amount in requests.items())


def _inline_is_local(job: FinetuneJob) -> bool:
    inputs = (job.spec.dataset, job.spec.model)
    return job.spec.prepare.mode != "Inline" or not any(part and part.source for part in inputs)


def _mounts_differ(job: FinetuneJob) -> bool:
    inputs = [part.mount_path for part in (job.spec.dataset, job.spec.model) if part]
    paths = [*inputs, *(mount.mount_path for mount in job.spec.pod_template.volume_mounts)]
    return len(paths) == len(set(paths))


def _trainer_mounts(job: FinetuneJob) -> list[str]:
    return [mount.mount_path for mount in job.spec.pod_template.volume_mounts]


def _inside(path: str, directory: str) -> bool:
    return path == directory or path.startswith(f"{directory}/")


def _free(path: str) -> bool:
    return path not in RESERVED_DIRECTORIES and not any(_inside(path, reserved) for reserved in RESERVED_PATHS)


def _mounts_outside_inputs(job: FinetuneJob) -> bool:
    inputs = [part.mount_path for part in (job.spec.dataset, job.spec.model) if part]
    return not any(mount.startswith(f"{path}/") for mount in _trainer_mounts(job) for path in inputs)


def _queue_is_known(job: FinetuneJob) -> bool:
    scheduling = job.spec.scheduling
    return scheduling.gang != "Kueue" or scheduling.queue_name is not None


def _queue_is_read(job: FinetuneJob) -> bool:
    return job.spec.scheduling.queue_name is None or job.spec.scheduling.gang in ("Kueue", "Volcano")


def _mounts_have_volumes(job: FinetuneJob) -> bool:
    template = job.spec.pod_template
    names = {volume.name for volume in template.volumes}
    mounts = [*template.volume_mounts, *(mount for car in template.sidecars for mount in car.volume_mounts)]
    return all(mount.name in names for mount in mounts)


def _volumes_have_one_kind(job: FinetuneJob) -> bool:
    kinds = ("persistent_volume_claim", "config_map", "empty_dir")
    return all(_given(volume, *kinds) == 1 for volume in job.spec.pod_template.volumes)


def _env_has_one_value(job: FinetuneJob) -> bool:
    template = job.spec.pod_template
    variables = [*template.env, *(variable for car in template.sidecars for variable in car.env)]
    sources = [variable.value_from for variable in variables if variable.value_from]
    return all(_given(variable, "value", "value_from") == 1 for variable in variables) and all(
        _given(source, "secret_key_ref", "config_map_key_ref") == 1 for source in sources
    )


_ONE_VOLUME: Final = "has(self.persistentVolumeClaim) != has(self.configMap)"
_ONE_INPUT: Final = "!(has(self.volume) && has(self.source))"
_SHARED: Final = (
    "!has(self.output.volumeClaimTemplate) || (has(self.elastic) ? self.elastic.maxNodes : self.nodes) == 1 || "
    "'ReadWriteMany' in self.output.volumeClaimTemplate.spec.accessModes"
)
_DEVICES: Final = (
    "!has(self.requests) || self.requests.all(name, !name.contains('/') || (has(self.limits) && name in self.limits "
    "&& string(self.limits[name]) == string(self.requests[name])))"
)
_LOCAL: Final = (
    "self.prepare.mode != 'Inline' || "
    "!((has(self.dataset) && has(self.dataset.source)) || (has(self.model) && has(self.model.source)))"
)
_DIFFERENT: Final = (
    "(!has(self.dataset) || !has(self.model) || self.dataset.mountPath != self.model.mountPath) && "
    "(!has(self.podTemplate) || !has(self.podTemplate.volumeMounts) || self.podTemplate.volumeMounts.all(mount, "
    "(!has(self.dataset) || mount.mountPath != self.dataset.mountPath) && "
    "(!has(self.model) || mount.mountPath != self.model.mountPath)))"
)
"""That further mounts differ among themselves follows from their being a list by mount path."""
_FREE: Final = (
    f"!(self.mountPath in {sorted(RESERVED_DIRECTORIES)}) && !{sorted(RESERVED_PATHS)}"
    ".exists(path, self.mountPath == path || self.mountPath.startsWith(path + '/'))"
)
_OUTSIDE: Final = (
    "!has(self.podTemplate) || !has(self.podTemplate.volumeMounts) || self.podTemplate.volumeMounts.all(mount, "
    "(!has(self.dataset) || !mount.mountPath.startsWith(self.dataset.mountPath + '/')) && "
    "(!has(self.model) || !mount.mountPath.startsWith(self.model.mountPath + '/')))"
)
_FREE_SENTENCE: Final = f"mountPath belongs to the operator; keep out of {', '.join(RESERVED_PATHS)}, / and /etc"
_NAMED: Final = (
    "(!has(self.volumeMounts) || self.volumeMounts.all(mount, has(self.volumes) && "
    "self.volumes.exists(volume, volume.name == mount.name))) && "
    "(!has(self.sidecars) || self.sidecars.all(sidecar, !has(sidecar.volumeMounts) || "
    "sidecar.volumeMounts.all(mount, has(self.volumes) && "
    "self.volumes.exists(volume, volume.name == mount.name))))"
)
_ONE_KIND: Final = (
    "[has(self.persistentVolumeClaim), has(self.configMap), has(self.emptyDir)].filter(given, given).size() == 1"
)
_ONE_VALUE: Final = (
    "has(self.value) != has(self.valueFrom) && "
    "(!has(self.valueFrom) || has(self.valueFrom.secretKeyRef) != has(self.valueFrom.configMapKeyRef))"
)

RULES: Final = (
    Rule(
        "metadata.name",
        f"must begin with a letter, hold only a-z, 0-9 and -, and have at most {NAME_LENGTH} characters, "
        "so that pods can be named after it",
        _name_fits,
        f"self.metadata.name.size() <= {NAME_LENGTH} && self.metadata.name.matches(r'^{_LABEL.pattern}$')",
        ("",),
    ),
    Rule(
        "spec.nodes",
        "must lie between elastic.minNodes and elastic.maxNodes",
        _within_elastic,
        "!has(self.elastic) || (self.elastic.minNodes <= self.nodes && self.nodes <= self.elastic.maxNodes)",
        ("spec",),
    ),
    Rule(
        "spec.dataset",
        "give volume or source, not both",
        lambda job: _given(job.spec.dataset, "volume", "source") <= 1 if job.spec.dataset else True,
        _ONE_INPUT,
    ),
    Rule(
        "spec.model",
        "give volume or source, not both",
        lambda job: _given(job.spec.model, "volume", "source") <= 1 if job.spec.model else True,
        _ONE_INPUT,
    ),
    Rule(
        "spec.dataset.volume",
        "give persistentVolumeClaim or configMap, exactly one",
        lambda job: _one_volume_kind(job.spec.dataset),
        _ONE_VOLUME,
    ),
    Rule(
        "spec.model.volume",
        "give persistentVolumeClaim or configMap, exactly one",
        lambda job: _one_volume_kind(job.spec.model),
        _ONE_VOLUME,
    ),
    Rule(
        "spec.output",
        "give volume or volumeClaimTemplate, exactly one",
        lambda job: _given(job.spec.output, "volume", "volume_claim_template") == 1,
        "has(self.volume) != has(self.volumeClaimTemplate)",
    ),
    Rule(
        "spec.output.volumeClaimTemplate.spec.accessModes",
        "must include ReadWriteMany when more than one node writes",
        _shared_output,
        _SHARED,
        ("spec",),
    ),
    Rule("spec.resources", "requests of devices must equal their limits", _devices_agree, _DEVICES),
    Rule("spec.prepare.mode", "Inline cannot fetch sources; use Pod or Auto", _inline_is_local, _LOCAL, ("spec",)),
    Rule("spec.podTemplate.volumeMounts", "mount paths must differ", _mounts_differ, _DIFFERENT, ("spec",)),
    Rule(
        "spec.podTemplate.volumeMounts",
        "must not lie inside dataset.mountPath or model.mountPath, which are read-only",
        _mounts_outside_inputs,
        _OUTSIDE,
        ("spec",),
    ),
    Rule(
        "spec.podTemplate.volumeMounts",
        _FREE_SENTENCE,
        lambda job: all(_free(path) for path in _trainer_mounts(job)),
        _FREE,
        ("spec.podTemplate.volumeMounts[]",),
    ),
    Rule("spec.dataset", _FREE_SENTENCE, lambda job: not job.spec.dataset or _free(job.spec.dataset.mount_path), _FREE),
    Rule("spec.model", _FREE_SENTENCE, lambda job: not job.spec.model or _free(job.spec.model.mount_path), _FREE),
    Rule(
        "spec.scheduling.queueName",
        "gang Kueue needs the name of a LocalQueue",
        _queue_is_known,
        "!has(self.gang) || self.gang != 'Kueue' || has(self.queueName)",
        ("spec.scheduling",),
    ),
    Rule(
        "spec.scheduling.queueName",
        "is read by gang Kueue and Volcano only",
        _queue_is_read,
        "!has(self.queueName) || (has(self.gang) && self.gang in ['Kueue', 'Volcano'])",
        ("spec.scheduling",),
    ),
    Rule(
        "spec.podTemplate.volumeMounts",
        "each must name one of podTemplate.volumes",
        _mounts_have_volumes,
        _NAMED,
        ("spec.podTemplate",),
    ),
    Rule(
        "spec.podTemplate.volumes",
        "give each persistentVolumeClaim, configMap or emptyDir, exactly one",
        _volumes_have_one_kind,
        _ONE_KIND,
        ("spec.podTemplate.volumes[]",),
    ),
    Rule(
        "spec.podTemplate.env",
        "give each variable one value or valueFrom",
        _env_has_one_value,
        _ONE_VALUE,
        ("spec.podTemplate.env[]", "spec.podTemplate.sidecars[].env[]"),
    ),
)
