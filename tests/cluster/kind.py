"""A cluster made by kind: exercised only where Docker runs and pulls kind's images."""

import contextlib
import json
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Final, Self

from cluster.binaries import ToolMissing, find
from cluster.images.image import IMAGES, OPERATOR, REPOSITORY, TRAINER, Image
from cluster.volumes import VolumePool

Run = Callable[[Sequence[str | Path]], None]

_VOLUMES: Final = PurePosixPath("/finetune-volumes")
_LAST_WORDS: Final = 20


class KindCluster:
    """The cluster, inside of a `with` block, under a name of its own: no other cluster of this machine is touched."""

    operator_image = OPERATOR
    trainer_image = TRAINER

    def __init__(self, nodes: int = 1, run: Run | None = None) -> None:
        self.name = f"finetune-{secrets.token_hex(4)}"
        self.directory = Path(tempfile.mkdtemp(prefix=f"{self.name}-"))
        self.volumes = VolumePool(self.directory / "volumes", _VOLUMES)
        self._nodes, self._run = nodes, run or _run
        self._stack = contextlib.ExitStack()

    @property
    def kubeconfig(self) -> Path:
        """Its own file: the user's stays as it is."""
        return self.directory / "kubeconfig"

    def __enter__(self) -> Self:
        self._stack.callback(shutil.rmtree, self.directory, ignore_errors=True)
        try:
            self._create()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def claimed_directory(self, namespace: str, claim: str) -> Path:
        """Return where tests see the files of a bound claim."""
        return self.volumes.directory(self.kubeconfig, namespace, claim)

    def _create(self) -> None:
        config = self.directory / "kind.json"
        config.write_text(json.dumps(cluster_config(self._nodes, self.volumes.here)), encoding="utf-8")
        self.volumes.make_directories()
        self._stack.callback(self._run, ["kind", "delete", "cluster", "--name", self.name, *self._own_kubeconfig()])
        wait = ("--wait", "180s")
        self._run(
            ["kind", "create", "cluster", "--name", self.name, "--config", config, *wait, *self._own_kubeconfig()]
        )
        images = [image for image in IMAGES if not image.target]
        for image in images:
            self._run(build_command(image))
        self._run(["kind", "load", "docker-image", *(image.name for image in images), "--name", self.name])
        objects = self.directory / "volumes.json"
        objects.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": self.volumes.objects()}))
        self._run(["kubectl", *self._own_kubeconfig(), "apply", "--filename", objects])

    def _own_kubeconfig(self) -> tuple[str | Path, ...]:
        return ("--kubeconfig", self.kubeconfig)


def cluster_config(nodes: int, volumes: Path) -> dict[str, Any]:
    """Return kind's configuration: so many nodes that run pods, all with the tests' volumes."""
    mounts = [{"hostPath": str(volumes), "containerPath": str(_VOLUMES)}]
    roles = ["control-plane"] if nodes == 1 else ["control-plane", *["worker"] * nodes]
    return {
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "kind": "Cluster",
        "nodes": [{"role": role, "extraMounts": mounts} for role in roles],
    }


def build_command(image: Image) -> list[str | Path]:
    """Return the plain `docker build`."""
    context = REPOSITORY / image.context
    return ["docker", "build", "--file", context / image.dockerfile, "--tag", image.name, context]


def _run(command: Sequence[str | Path]) -> None:
    found = shutil.which(str(command[0])) or find(str(command[0]))
    done = subprocess.run([found, *command[1:]], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-_LAST_WORDS:])
        raise ToolMissing(f"{' '.join(map(str, command[:3]))} failed:\n{said}")
