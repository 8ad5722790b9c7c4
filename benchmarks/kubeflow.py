"""The peer: Kubeflow Trainer with JobSet, as they are released, with pods of the same image and resources as ours."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from benchmarks.contenders import NAMESPACE, RESOURCES, Contender
from benchmarks.load import Body, Kind, is_condition_true

from cluster.control_plane import ControlPlane
from cluster.peer import Peer, train_job, user_of
from finetune_operator.cluster.resources import Resource
from finetune_operator.settings import Settings

_TRAIN_JOBS: Final = Resource("trainer.kubeflow.org", "v1alpha1", "trainjobs", "TrainJob")
_OWNER: Final = "jobset.sigs.k8s.io/jobset-name"
"""A TrainJob becomes a JobSet of the same name, whose pods bear this label."""


@contextlib.contextmanager
def kubeflow(cluster: ControlPlane, work: Path, pods: int) -> Iterator[Contender]:
    """Run both controllers as processes of their own; what they cost and ask for is counted together."""
    with Peer(cluster, work / "peer") as peer:
        users = [user_of(tool) for tool in peer.processes]
        yield Contender("kubeflow", _kind(pods), users, [process.pid for process in peer.processes.values()])


def _kind(pods: int) -> Kind:
    return Kind(
        resource=_TRAIN_JOBS,
        body=lambda name: _train_job(name, pods),
        owner=lambda pod: (pod["metadata"].get("labels") or {}).get(_OWNER),
        is_complete=lambda job: is_condition_true(job, "Complete"),
    )


def _train_job(name: str, nodes: int) -> Body:
    body: dict[str, Any] = train_job(name, nodes)
    body["metadata"]["namespace"] = NAMESPACE
    body["spec"]["trainer"] |= {"image": Settings().trainer_image, "resourcesPerNode": RESOURCES}
    return body
