"""A checkpoint exists when its manifest does: what it holds, who wrote it, and the checksums of its files."""

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from finetune_api.errors import ConfigInvalid, Retryable
from finetune_trainer.directories import sync

FILE = "manifest.json"
BLOCK_BYTES = 4 << 20
"""What is read of a file at once; a rank's part of a checkpoint is one file, of any size."""


@dataclass(frozen=True)
class Identity:
    """What a checkpoint and the run that resumes it must have in common."""

    model: str
    dataset: str
    order: dict[str, Any]


@dataclass(frozen=True)
class Manifest:
    """The description of one checkpoint: `step` optimizer steps and `samples` rows are done."""

    step: int
    samples: int
    attempt: int
    uid: str
    world_size: int
    microbatch: int | None
    config_sha256: str
    identity: Identity
    weights_only: bool
    loss_scale: dict[str, float]
    files: dict[str, dict[str, Any]]

    @property
    def size(self) -> int:
        """The bytes of all its files together."""
        return sum(int(entry["bytes"]) for entry in self.files.values())

    def write(self, directory: Path) -> None:
        """Make the checkpoint in `directory` exist, atomically and durably."""
        fields = asdict(self)
        draft = directory / f".{FILE}"
        with draft.open("w") as file:
            json.dump({**fields, "sha256": _seal(fields)}, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(directory / FILE)
        sync(directory)
        sync(directory.parent)


class DamagedManifest(Exception):
    """A manifest that is not what was written; `str()` says what is wrong with it."""


def read_manifest(directory: Path) -> Manifest | None:
    """Return the manifest of a complete checkpoint, None where there is none.

    Raises DamagedManifest for one that is not what was written, ConfigInvalid for one that another version wrote,
    Retryable when the disk does not let it be read.
    """
    try:
        fields = json.loads((directory / FILE).read_bytes())
        seal = fields.pop("sha256", None)
        # Those that were written before there was a seal have none.
        if seal not in (None, _seal(fields)):
            raise ValueError("its SHA-256 differs")
        return _manifest_of(fields) if seal is None else _of_this_version(directory, fields)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, TypeError, KeyError, AttributeError, IsADirectoryError) as error:
        raise DamagedManifest(f"its {FILE} is damaged ({error})") from error
    except OSError as error:
        raise Retryable(f"checkpoint {directory}: its {FILE} cannot be read: {error}") from error


def complete_checkpoints(folder: Path) -> Iterator[tuple[Path, Manifest]]:
    """Yield every complete checkpoint below `folder`."""
    for directory in _named_directories(folder):
        with suppress(DamagedManifest):
            manifest = read_manifest(directory)
            if manifest is not None:
                yield directory, manifest


def damaged_manifests(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield every checkpoint below `folder` whose manifest is damaged, and what is wrong with it."""
    for directory in _named_directories(folder):
        try:
            read_manifest(directory)
        except DamagedManifest as damage:
            yield directory, str(damage)


def check_identity(directory: Path, manifest: Manifest, wanted: Identity) -> None:
    """Raise ConfigInvalid, naming what differs, when the checkpoint is of another model, dataset or order of rows."""
    for name in ("model", "dataset"):
        if getattr(manifest.identity, name) != getattr(wanted, name):
            raise ConfigInvalid(
                f"checkpoint {directory}: it was made with another {name}",
                hint=f"Resume with the {name} it was trained on, or start anew in an empty output.",
            )
    for key, value in wanted.order.items():
        made_with = manifest.identity.order.get(key)
        if made_with != value:
            raise ConfigInvalid(
                f"{key}: the checkpoint {directory} was made with {made_with}, now it is {value}",
                hint="The rows would come in another order; set it back, or start anew in an empty output.",
            )


def checksum(path: Path, touch: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """Return a file's size in bytes and its SHA-256; `touch` is called for every block, as a sign of life."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
            touch()
    return {"bytes": path.stat().st_size, "sha256": digest.hexdigest()}


def _seal(fields: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def _manifest_of(fields: dict[str, Any]) -> Manifest:
    return Manifest(**{**fields, "identity": Identity(**fields["identity"])})


def _of_this_version(directory: Path, fields: dict[str, Any]) -> Manifest:
    """What a right seal vouches for is no damage, even if this trainer does not know what to make of it."""
    try:
        return _manifest_of(fields)
    except (TypeError, KeyError) as error:
        raise ConfigInvalid(
            f"checkpoint {directory} was written by another version of the trainer; this one cannot read it ({error})",
            hint="Continue with the image that wrote it, or a newer one; or start anew in an empty output.",
        ) from error


def _named_directories(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("step-*") if is_checkpoint_name(path.name))


def checkpoint_name(step: int, attempt: int) -> str:
    """Return the directory name of a checkpoint."""
    return f"step-{step:08d}-attempt-{attempt:04d}"


def is_checkpoint_name(name: str) -> bool:
    """Tell whether `checkpoint_name` may have made this name."""
    return re.fullmatch(r"step-\d{8,}-attempt-\d{4,}", name) is not None


def parse_name(name: str) -> tuple[int, int]:
    """Return (step, attempt) of a checkpoint's directory name."""
    _, step, _, attempt = name.split("-")
    return int(step), int(attempt)
