"""Rules between the fields of a FinetuneJob, each with the sentence a user reads when it is broken."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from finetune_api.errors import Problem
from finetune_api.job.job import NAME_LENGTH, FinetuneJob
from finetune_api.job.part import Part, Quantities

_LABEL: Final = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
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
