"""The CustomResourceDefinition of FinetuneJobs, generated from the models."""

from typing import Any, Final

import yaml

from finetune_api.config import TrainingConfig
from finetune_api.crd.config_keys import config_keys
from finetune_api.crd.rules import add_rules
from finetune_api.crd.structural import Schema, structural_schema
from finetune_api.job import GROUP, KIND, VERSION, FinetuneJobSpec
from finetune_api.status import NEVER_OBSERVED, JobStatus

PLURAL: Final = "finetunejobs"

HEADER: Final = "# Generated from the models of finetune_api by `make crds`. Edit those, then run it again.\n"

_LONGEST_NAME: Final = 253


def crd_yaml() -> str:
    """Return the manifest as it is kept in crds/finetunejobs.yaml."""
    return HEADER + yaml.dump(crd(), sort_keys=False, allow_unicode=True, width=120, Dumper=_Plain)


class _Plain(yaml.SafeDumper):
    """Writes equal parts out each time instead of referring back to the first."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def crd() -> dict[str, Any]:
    """Return the CustomResourceDefinition."""
    names = {
        "kind": KIND,
        "listKind": f"{KIND}List",
        "plural": PLURAL,
        "singular": KIND.lower(),
        "shortNames": ["ftj"],
        "categories": ["all", "finetune"],
    }
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "additionalPrinterColumns": _columns(),
        "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": job_schema()},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {"group": GROUP, "scope": "Namespaced", "names": names, "versions": [version]},
    }


def job_schema() -> Schema:
    """Return the schema of a whole job, rules included."""
    root: Schema = {
        "description": "A run that fine-tunes a language model on your own data.",
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"description": f"{GROUP}/{VERSION}.", "type": "string"},
            "kind": {"description": f"{KIND}.", "type": "string"},
            # The bound is Kubernetes' own; the cost of a rule about the name is reckoned from it.
            "metadata": {"type": "object", "properties": {"name": {"type": "string", "maxLength": _LONGEST_NAME}}},
            "spec": _spec_schema(),
            "status": _status_schema(),
        },
    }
    add_rules(root)
    return root


def _spec_schema() -> Schema:
    schema = structural_schema(FinetuneJobSpec)
    schema["properties"]["config"]["properties"] = config_keys(TrainingConfig)
    return schema


def _status_schema() -> Schema:
    schema = structural_schema(JobStatus)
    schema["properties"]["conditions"] |= {
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
    }
    return {**schema, "default": {"observedGeneration": NEVER_OBSERVED}}


def _columns() -> list[dict[str, Any]]:
    return [
        _column("State", "string", ".status.state", "One word for the whole job."),
        _column("Nodes", "integer", ".spec.nodes", "Pods that train together."),
        _column("Step", "integer", ".status.progress.step", "Optimizer steps finished."),
        _column("Loss", "number", ".status.progress.loss", "Mean loss per target token of the last step."),
        # Not of type date: kubectl shows a date as the time since, and this one lies ahead.
        _column("ETA", "string", ".status.progress.estimatedCompletionTime", "When the run should end."),
        _column("Restarts", "integer", ".status.restarts", "Failed attempts that were followed by another."),
        _column("Age", "date", ".metadata.creationTimestamp", "Time since the job was created."),
        _column("Model", "string", ".spec.config.model.pretrained_model_name_or_path", "What is trained.", 1),
        _column("Image", "string", ".status.frozen.image", "Trainer image of every attempt.", 1),
    ]


def _column(name: str, kind: str, path: str, description: str, priority: int = 0) -> dict[str, Any]:
    wide = {"priority": priority} if priority else {}
    return {"name": name, "type": kind, "jsonPath": path, "description": description, **wide}
