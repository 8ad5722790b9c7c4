"""Where cases are played: a cluster with the operator, one namespace, one volume that all jobs share."""

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cluster.local.cluster import LocalCluster
from cluster.local.node import Node
from cluster.provider import Cluster
from faults.case import STRUCK_NODE
from support.example_job import give_inputs, make_model
from support.helm_release import Release
from support.workspace import Workspace

CLAIM: Final = "faults"
_USER: Final = 65532
_SMALL: Final = "64m"


@dataclass(frozen=True)
class Site:
    """All that a case needs of its surroundings."""

    cluster: Cluster
    space: Workspace
    state: Path
    """Where records and results are kept."""

    @property
    def machine(self) -> LocalCluster:
        """The cluster, as one whose nodes are processes of this machine."""
        assert isinstance(self.cluster, LocalCluster), "only a local cluster's nodes can be struck"
        return self.cluster

    @property
    def struck_node(self) -> Node:
        """The node that faults of nodes hit."""
        return next(node for node in self.machine.nodes if node.name == STRUCK_NODE)

    def claim(self, name: str = CLAIM) -> Path:
        """Make a claim and return its directory."""
        spec: dict[str, Any] = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
        body = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}
        self.space.apply(body)
        return self.folder(name)

    def folder(self, claim: str) -> Path:
        """Return where the files of a claim are seen from here."""
        folder = self.cluster.claimed_directory(self.space.namespace, claim)
        assert folder is not None, "the files of this cluster's volumes cannot be read from here"
        return folder

    def output(self, name: str, claim: str = CLAIM) -> Path:
        """Make the empty directory that a job sees as its output."""
        folder = self.folder(claim) / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        shutil.chown(folder, _USER, _USER)
        return folder

    def runtimes(self) -> dict[str, str]:
        """Return what each node runs pods with."""
        return {
            node["metadata"]["name"]: _runtime(node["status"]["nodeInfo"]) for node in self.space.get("nodes")["items"]
        }


def _runtime(info: dict[str, str]) -> str:
    return f"kubelet {info['kubeletVersion']}, {info['containerRuntimeVersion']}, Linux {info['kernelVersion']}"


def small_disk(directory: Path) -> None:
    """Put a file system of a few megabytes in the place of a volume's directory, before anybody mounts it."""
    options = f"size={_SMALL},mode=0777"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(directory)], check=True)


@contextlib.contextmanager
def furnished(cluster: Cluster, state: Path, namespace: str) -> Iterator[Site]:
    """Make a namespace with the inputs of the jobs in it."""
    site = Site(cluster, Workspace(cluster.kubeconfig, namespace).create(), state)
    try:
        model = state / "model"
        give_inputs(site.space, model if model.exists() else make_model(model))
        site.claim()
        yield site
    finally:
        site.space.delete()


def install(cluster: Cluster) -> None:
    """Install the operator beside the node that will be struck."""
    release = Release(cluster.kubeconfig, cluster.operator_image, cluster.trainer_image)
    release.upgrade("nodeSelector.kubernetes\\.io/hostname=node-1")
