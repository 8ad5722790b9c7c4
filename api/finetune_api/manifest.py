"""Tells a bare training file from a manifest, and finds the one FinetuneJob in it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune_api.config import LoadedConfig, load_training_config, parse_training_config
from finetune_api.config.screen import nearest
from finetune_api.errors import ConfigInvalid, Problem
from finetune_api.job import KIND, FinetuneJob, load_job
from finetune_api.yaml_text import parse_yaml, read_text


@dataclass(frozen=True)
class TrainingDocument:
    """A bare training file."""

    source: Path

    def training_config(self, overrides: Sequence[str] = ()) -> LoadedConfig:
        """Return the configuration with `overrides`; raises ConfigInvalid with all mistakes."""
        return load_training_config(self.source, overrides)


@dataclass(frozen=True)
class JobManifest:
    """A manifest with one FinetuneJob, and the other objects of the same file."""

    source: Path
    job: FinetuneJob
    others: tuple[Mapping[str, Any], ...] = ()

    def training_config(self, overrides: Sequence[str] = ()) -> LoadedConfig:
        """Return the job's configuration with `overrides` of keys below `spec.config`.

        Raises ConfigInvalid with all mistakes, their paths beginning with `spec.config`.
        """
        try:
            return parse_training_config(self.job.spec.config, overrides)
        except ConfigInvalid as error:
            raise ConfigInvalid.of([problem.under("spec.config") for problem in error.problems]) from None

    def config_map(self, name: str) -> Mapping[str, str] | None:
        """Return the files that ConfigMap `name` of the same file holds, or None when it is not there."""
        for other in self.others:
            metadata = other.get("metadata")
            if other.get("kind") == "ConfigMap" and isinstance(metadata, Mapping):
                data = other.get("data")
                if metadata.get("name") == name:
                    return data if isinstance(data, Mapping) else {}
        return None


def load_file(source: Path) -> TrainingDocument | JobManifest:
    """Read a training file or a manifest; other objects of a manifest are kept as they are.

    Raises ConfigInvalid when `source` is neither, or holds no or several FinetuneJobs.
    """
    values = [document.value for document in parse_yaml(read_text(source), str(source))]
    if not any(_is_object(value) for value in values):
        return TrainingDocument(source)
    objects = list(_objects(values))
    jobs = [value for value in objects if value.get("kind") == KIND]
    if len(jobs) != 1:
        raise ConfigInvalid.of([_count_problem(source, objects, len(jobs))])
    others = tuple(value for value in objects if value is not jobs[0])
    return JobManifest(source, load_job(jobs[0]), others)


def _is_object(value: object) -> bool:
    return isinstance(value, Mapping) and "kind" in value and "apiVersion" in value


def _objects(values: Sequence[Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the Kubernetes objects among `values`, those inside a List too."""
    for value in values:
        if isinstance(value, Mapping) and value.get("kind") == "List" and isinstance(value.get("items"), list):
            yield from _objects(value["items"])
        elif isinstance(value, Mapping):
            yield value


def _count_problem(source: Path, objects: Sequence[Mapping[str, Any]], found: int) -> Problem:
    if found:
        return Problem(str(source), f"holds {found} objects of kind {KIND}", "keep one per file")
    kinds = [str(value.get("kind")) for value in objects]
    close = next((kind for kind in kinds if nearest(kind, [KIND])), None)
    hint = f"{close} looks like a misspelt {KIND}" if close else None
    return Problem(str(source), f"holds no object of kind {KIND}, only {', '.join(kinds)}", hint)
