"""What all children of one job are built from, and the metadata that they share."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from finetune_api.config import TrainingConfig
from finetune_api.job import GROUP, KIND, VERSION, FinetuneJobSpec
from finetune_api.names import job_labels
from finetune_operator.settings import Settings

Body = dict[str, Any]


@dataclass(frozen=True)
class Blueprint:
    """A job whose spec has been judged and whose image, configuration and shape are settled."""

    name: str
    namespace: str
    uid: str
    spec: FinetuneJobSpec
    config: TrainingConfig
    image: str
    inline: bool
    """Rank 0's pod prepares the data."""
    settings: Settings

    @property
    def processes(self) -> int:
        """Ranks of one node."""
        return processes_per_node(self.spec)

    def metadata(self, name: str, labels: Mapping[str, str] | None = None, *, owned: bool = True) -> Body:
        """Return the metadata of a child: its job owns it, unless it shall outlive the job."""
        metadata: Body = {
            "name": name,
            "namespace": self.namespace,
            "labels": dict(labels or job_labels(self.name, self.uid)),
        }
        return metadata | ({"ownerReferences": [self.owner()]} if owned else {})

    def owner(self) -> Body:
        """Return the reference by which the API server deletes a child with its job."""
        return {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": KIND,
            "name": self.name,
            "uid": self.uid,
            "controller": True,
            "blockOwnerDeletion": True,
        }


def processes_per_node(spec: FinetuneJobSpec) -> int:
    """Return the ranks of one node: what the job says, else one per GPU, else one."""
    return spec.processes_per_node or max(1, gpus_of(spec))


def gpus_of(spec: FinetuneJobSpec) -> int:
    """Return the GPUs of one node, of whatever make."""
    return gpus_in(spec.resources.requests, spec.resources.limits)


def gpus_in(*amounts: Mapping[str, object]) -> int:
    """Return the GPUs in requests and limits, of which the later count; 0 for what is no number."""
    together = {name: amount for some in amounts for name, amount in some.items() if name.endswith("/gpu")}
    return sum(int(amount) for amount in map(str, together.values()) if amount.isdigit())


def config_text(config: TrainingConfig) -> str:
    """Return the resolved configuration as the pods read it."""
    return json.dumps(config.resolved(), indent=2, sort_keys=True)


def config_hash(config: TrainingConfig) -> str:
    """Return the hash by which every attempt is held to the same configuration."""
    return hashlib.sha256(config_text(config).encode()).hexdigest()
