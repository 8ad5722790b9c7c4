"""The images that tests need, and the key that says whether what was built is what would be built now."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).parents[3]
_LIBRARY: Final = "docker.io/library"
SANDBOX: Final = f"{_LIBRARY}/finetune-base:test"
"""Keeps a pod's network alive; the base of the other images does that as well as any."""
BASE: Final = SANDBOX
OPERATOR: Final = "finetune-operator:test"
TRAINER: Final = "finetune-trainer:test"
FAULTS: Final = "finetune-trainer-faults:test"
"""The trainer's image, whose ranks a test can have fail at a point of its choice."""
_SHARED: Final = (".dockerignore", "LICENSE", "README.md", "pyproject.toml", "api", "requirements/build.txt")


@dataclass(frozen=True)
class Image:
    """An image of this repository."""

    name: str
    dockerfile: str
    sources: tuple[str, ...]
    """What its content depends on, from the repository's root."""
    context: str = ""
    """The folder, from the repository's root, that is all its Dockerfile sees."""
    target: str = ""
    """The stage of the Dockerfile, when it is not the last."""
    stands_on: str = ""
    """The name of an image that takes the place of the Dockerfile's stage `dependencies`."""
    gigabytes: float = 1.0
    """Free disk space that building it takes."""

    @property
    def reference(self) -> str:
        """The name by which a container runtime knows it."""
        return f"{_LIBRARY}/{self.name}"

    def key(self, root: Path, base: str) -> str:
        """Return a digest of everything that the image is made of."""
        return digest(root, self.sources, f"{self} {base}")


def _operator() -> Image:
    sources = ("operator", "requirements/operator.txt", *_SHARED)
    return Image(OPERATOR, "operator/Dockerfile", sources)


def _trainer() -> tuple[Image, Image, Image]:
    """The trainer in two steps, for a change of our code must not cost 5.6 GB a second time; and the one for faults."""
    file, name = "trainer_image/Dockerfile", "finetune-trainer-dependencies:test"
    locks = ("requirements/trainer.txt", "requirements/uv.txt")
    below = Image(name, file, (file, *locks), target="dependencies", gigabytes=18.0)
    trainer = Image(TRAINER, file, ("trainer_image", *locks, *_SHARED), stands_on=name)
    folder = "tests/faults/image"
    faults = Image(FAULTS, "Dockerfile", (file, folder, *trainer.sources), context=folder)
    return below, trainer, faults


IMAGES: Final = (_operator(), *_trainer())
"""In the order in which they are built."""


def digest(root: Path, sources: Iterable[str], more: str) -> str:
    """Return the digest of files and folders: their names and contents."""
    found = hashlib.sha256(more.encode())
    for source in sorted(sources):
        for file in _files(root / source):
            content = file.read_bytes()
            found.update(f"\0{file.relative_to(root)}\0{len(content)}\0".encode() + content)
    return found.hexdigest()


def _files(path: Path) -> Iterable[Path]:
    if path.is_file():
        return [path]
    return sorted(file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
