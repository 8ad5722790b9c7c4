"""Which cluster tests get: one of this machine's own, one made by kind, or one that exists and was named on purpose.

`FINETUNE_TEST_CLUSTER` chooses `local`, `kind` or `existing`; without it, kind where Docker and kind work, else local.
A `KUBECONFIG` alone is not enough to use what it names: for most people that is a cluster with other people's work.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Protocol, Self

from cluster.binaries import ToolMissing
from cluster.existing import ExistingCluster
from cluster.kind import KindCluster
from cluster.local.cluster import LocalCluster

SWITCH: Final = "FINETUNE_TEST_CLUSTER"
_PROVIDERS: Final = ("local", "kind", "existing")


class Cluster(Protocol):
    """A cluster whose nodes have our images, or can pull them; it is one inside of a `with` block."""

    @property
    def kubeconfig(self) -> Path:
        """Of somebody who may do everything."""
        ...

    @property
    def operator_image(self) -> str:
        """The operator's image, with its tag."""
        ...

    @property
    def trainer_image(self) -> str:
        """The trainer's image, with its tag."""
        ...

    def claimed_directory(self, namespace: str, claim: str) -> Path | None:
        """Return where tests see the files of a bound claim; None where they cannot."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


def cluster(nodes: int = 1) -> Cluster:
    """Return the cluster for this run, not yet started; raises ToolMissing."""
    match chosen(os.environ, _kind_works):
        case "existing":
            return ExistingCluster.from_environment(os.environ)
        case "kind":
            return KindCluster(nodes)
        case _:
            return LocalCluster(nodes)


def chosen(environment: Mapping[str, str], kind_works: Callable[[], bool]) -> str:
    """Return which provider it is."""
    if not (named := environment.get(SWITCH)):
        return "kind" if kind_works() else "local"
    if named not in _PROVIDERS:
        raise ToolMissing(f"{SWITCH}={named} is none of {', '.join(_PROVIDERS)}")
    return named


def _kind_works() -> bool:
    if not (shutil.which("kind") and shutil.which("docker")):
        return False
    return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0
