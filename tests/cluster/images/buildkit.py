"""Building images straight into a containerd, by BuildKit: nothing is saved, loaded or kept twice."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self

from cluster.binaries import find
from cluster.components import Command
from cluster.images.image import Image
from cluster.local import host, runtime
from cluster.local.site import PREFIX
from cluster.processes import Process

_CONFIG: Final = """\
root = "{folder}/buildkit"
[grpc]
  address = ["unix://{folder}/buildkitd.sock"]
[worker.oci]
  enabled = false
[worker.containerd]
  enabled = true
  address = "{folder}/containerd.sock"
  namespace = "k8s.io"
  gc = true
  gckeepstorage = "2GB"
[otel]
  socketPath = "{folder}/otel.sock"
"""
_GROUP: Final = f"{PREFIX}-builder"
"""The control group of what runs in a build."""
_OUTPUT: Final = "type=image,name={name},unpack=true,compression=zstd,compression-level=1,oci-mediatypes=true"
_PROXIES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "PIP_INDEX_URL", "UV_DEFAULT_INDEX")


class BuildFailed(Exception):
    """An image could not be built; the message is the end of what the builder said."""


class Builder:
    """BuildKit and containerd on `folder`, inside of a `with` block."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        try:
            self._serve("containerd", host.program("containerd"), runtime.builder_config(self.folder))
            config = _CONFIG.format(folder=self.folder)
            self._serve("buildkitd", find("buildkitd"), config, "--containerd-worker-net=host")
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def build(self, image: Image, context: Path, base: str) -> None:
        """Build one image and unpack it; raises BuildFailed."""
        self._buildctl("build", *arguments(image, context, base))

    def forget(self) -> None:
        """Drop the builder's own copies of what it built; the images stay."""
        self._buildctl("prune", "--all")

    def _serve(self, name: str, binary: Path, config: str, *flags: str) -> None:
        socket = self.folder / f"{name}.sock"
        socket.unlink(missing_ok=True)
        path = self.folder / f"{name}.toml"
        path.write_text(config, encoding="utf-8")
        command: Command = [binary, "--config", path, *flags]
        process = Process(name, command, self.folder / f"{name}.log", host.environment())
        self._stack.callback(process.stop, 10.0)  # by SIGTERM first: it writes its database down
        process.wait_ready(socket.exists)

    def _buildctl(self, *words: str) -> None:
        command: Command = [find("buildctl"), "--addr", f"unix://{self.folder}/buildkitd.sock", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BuildFailed("\n".join(done.stderr.strip().splitlines()[-30:]))


def arguments(image: Image, context: Path, base: str) -> Iterator[str]:
    """Yield the arguments of `buildctl build`."""
    dockerfile = context / image.dockerfile
    yield from ("--progress", "plain", "--frontend", "dockerfile.v0", "--local", f"context={context}")
    yield from ("--local", f"dockerfile={dockerfile.parent}", "--output", _OUTPUT.format(name=image.reference))
    yield from (
        "--opt",
        f"cgroup-parent={_GROUP}",
        "--opt",
        "image-resolve-mode=local",
        "--opt",
        f"build-arg:BASE_IMAGE={base}",
    )
    if image.target:
        yield from ("--opt", f"target={image.target}")
    if image.stands_on:
        library = image.reference.rpartition("/")[0]
        yield from ("--opt", f"context:dependencies=docker-image://{library}/{image.stands_on}")
    for name in _PROXIES:
        if value := os.environ.get(name) or os.environ.get(name.lower()):
            yield from ("--opt", f"build-arg:{name}={value}")
