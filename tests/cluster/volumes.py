"""Volumes for tests: a pool of directories, for claims that name no class, readable by the tests themselves."""

import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from cluster.kubectl import kubectl

CLASS: Final = "finetune-tests"
_CAPACITY: Final = "100Gi"
_MODES: Final = ("ReadWriteOnce", "ReadWriteMany", "ReadOnlyMany")

Body = dict[str, Any]


@dataclass(frozen=True)
class VolumePool:
    """Directories on this machine that every node of a cluster sees under the same path."""

    here: Path
    """Where tests see them."""
    there: PurePosixPath
    """Where nodes see them."""
    count: int = 40

    def create(self, kubeconfig: Path) -> None:
        """Make directories and objects. Root owns them, as it owns a fresh disk: pods need an fsGroup to write."""
        self.make_directories()
        kubectl(kubeconfig, "apply", "-f", "-", stdin={"apiVersion": "v1", "kind": "List", "items": self.objects()})

    def make_directories(self) -> None:
        """Make the directories alone."""
        for number in range(self.count):
            (self.here / str(number)).mkdir(parents=True, mode=0o755)

    def objects(self) -> list[Body]:
        """Return the storage class, the cluster's default, and a volume for each directory."""
        default = {"storageclass.kubernetes.io/is-default-class": "true"}
        storage_class = {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": CLASS, "annotations": default},
            "provisioner": "kubernetes.io/no-provisioner",
            "volumeBindingMode": "Immediate",
        }
        return [storage_class, *(self._volume(number) for number in range(self.count))]

    def directory(self, kubeconfig: Path, namespace: str, claim: str) -> Path:
        """Return where tests see what pods see in a claim; raises KubectlFailed when a minute does not bind it."""
        bound = ("--for=jsonpath={.status.phase}=Bound", "--timeout=60s")
        kubectl(kubeconfig, "wait", "--namespace", namespace, f"persistentvolumeclaim/{claim}", *bound)
        found = kubectl(kubeconfig, "get", "--namespace", namespace, "persistentvolumeclaim", claim, "-o", "json")
        return self.here / str(json.loads(found)["spec"]["volumeName"]).rpartition("-")[2]

    def _volume(self, number: int) -> Body:
        anywhere = {"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]}
        return {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": f"{CLASS}-{number}"},
            "spec": {
                "capacity": {"storage": _CAPACITY},
                "accessModes": list(_MODES),
                "persistentVolumeReclaimPolicy": "Retain",
                "storageClassName": CLASS,
                "local": {"path": str(self.there / str(number))},
                "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [anywhere]}]}},
            },
        }
