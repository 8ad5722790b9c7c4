"""The images of test clusters, built once into one containerd directory; every node borrows them.

Only whoever has claimed the machine for a local cluster may build here: a node's layers are links into this directory.
"""

import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cluster import cache
from cluster.binaries import ToolMissing
from cluster.images import base
from cluster.images.buildkit import Builder
from cluster.images.image import BASE, IMAGES, REPOSITORY, Image
from cluster.local import remains

_BASE: Final = Image(BASE.rpartition("/")[2], "Dockerfile", ())
_LAYERS: Final = "io.containerd.snapshotter.v1.overlayfs/snapshots"
_GIGABYTE: Final = 10**9


def directory() -> Path:
    """Return the directory with the images."""
    return cache.root() / "images"


def ensure() -> None:
    """Build whatever image is missing or no longer what the sources say; raises ToolMissing and BuildFailed."""
    if stale := _stale():
        directory().mkdir(parents=True, exist_ok=True)
        _make_room(stale)
        with _clean(), Builder(directory()) as builder:
            for image, key in stale:
                _build(builder, image, key)


@contextlib.contextmanager
def _clean() -> Iterator[None]:
    """Leave nothing running and nothing mounted, neither of a build that was killed nor of this one."""
    remains.stop(directory())
    try:
        yield
    finally:
        remains.stop(directory())


def lend(target: Path) -> None:
    """Give a node all images without their weight: databases of its own, links to everything that never changes."""
    images = directory() / "containerd"
    shutil.copytree(images, target, symlinks=True, copy_function=_copy, ignore=_layers)
    for layer in (images / _LAYERS).iterdir():
        (target / _LAYERS / layer.name).symlink_to(layer)


def _layers(folder: str, names: list[str]) -> list[str]:
    return names if folder.endswith(_LAYERS) else []


def _copy(source: str, target: str) -> None:
    if source.endswith(".db"):
        shutil.copy2(source, target)
    else:
        os.link(source, target)


def _stale() -> list[tuple[Image, str]]:
    built, below = _built(), base.key()
    wanted = [(_BASE, below), *((image, image.key(REPOSITORY, below)) for image in IMAGES)]
    return [(image, key) for image, key in wanted if built.get(image.name) != key]


def _make_room(stale: list[tuple[Image, str]]) -> None:
    needed = max(image.gigabytes for image, _ in stale)
    free = shutil.disk_usage(directory()).free / _GIGABYTE
    if free < needed:
        names = ", ".join(image.name for image, _ in stale)
        raise ToolMissing(
            f"building {names} takes {needed:.0f} GB of disk, and {cache.root()} has {free:.0f} GB free; make room, or "
            "name another place with FINETUNE_TEST_CACHE"
        )


def _build(builder: Builder, image: Image, key: str) -> None:
    _say(f"{image.name}: building it")
    began = time.monotonic()
    if image is _BASE:
        with tempfile.TemporaryDirectory(dir=directory()) as folder:
            context = Path(folder, "context")
            context.mkdir()
            base.write(context)
            builder.build(image, context, BASE)
    else:
        builder.build(image, REPOSITORY / image.context, BASE)
    if image.target:
        builder.forget()  # else the disk would hold all of it twice
    _note(image.name, key)
    _say(f"{image.name}: ready after {time.monotonic() - began:.0f} s")


def _built() -> dict[str, str]:
    path = directory() / "built.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def _note(name: str, key: str) -> None:
    path = directory() / "built.json"
    written = path.with_suffix(".new")
    written.write_text(json.dumps({**_built(), name: key}, indent=2), encoding="utf-8")
    written.replace(path)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
