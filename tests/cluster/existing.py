"""A cluster that is there already: tests put their objects into namespaces of their own, and take them away."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from cluster.binaries import ToolMissing

_IMAGES: Final = ("FINETUNE_TEST_OPERATOR_IMAGE", "FINETUNE_TEST_TRAINER_IMAGE")


@dataclass(frozen=True)
class ExistingCluster:
    """The current context of a kubeconfig; its default storage class must serve ReadWriteMany."""

    kubeconfig: Path
    operator_image: str
    trainer_image: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read KUBECONFIG and the names of the images; raises ToolMissing."""
        kubeconfig = environment.get("KUBECONFIG", "").split(os.pathsep)[0] or str(Path.home() / ".kube/config")
        if not Path(kubeconfig).is_file():
            raise ToolMissing(f"there is no kubeconfig {kubeconfig}; name one with KUBECONFIG")
        if lacking := [name for name in _IMAGES if not environment.get(name)]:
            raise ToolMissing(f"say which images the cluster can pull: {', '.join(lacking)} not set")
        operator, trainer = (environment[name] for name in _IMAGES)
        return cls(Path(kubeconfig), operator, trainer)

    def claimed_directory(self, namespace: str, claim: str) -> None:
        """Tests cannot see the files of a volume elsewhere."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave it as it is."""
