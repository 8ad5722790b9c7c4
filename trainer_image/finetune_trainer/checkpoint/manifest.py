"""A checkpoint exists when its manifest does: what it holds, who wrote it, and the checksums of its files."""

import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from finetune_api.errors import ConfigInvalid, Retryable
from finetune_trainer.checkpoint.claims import Claim, read_claims

FILE = "manifest.json"


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

    def write(self, directory: Path) -> None:
        """Make the checkpoint in `directory` exist, atomically and durably."""
        draft = directory / f".{FILE}"
        with draft.open("w") as file:
            json.dump(asdict(self), file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(directory / FILE)
        sync_directory(directory)


def read_manifest(directory: Path) -> Manifest | None:
    """Return the manifest of a complete checkpoint, None where there is none; raises Retryable for a damaged one."""
    try:
        fields = json.loads((directory / FILE).read_text())
        return Manifest(**{**fields, "identity": Identity(**fields["identity"])})
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise Retryable(f"checkpoint {directory}: its manifest is damaged: {error}") from error


def complete_checkpoints(folder: Path) -> Iterator[tuple[Path, Manifest]]:
    """Yield every complete checkpoint below `folder`."""
    for directory in sorted(folder.glob("step-*")):
        manifest = read_manifest(directory)
        if manifest is not None:
            yield directory, manifest


def newest_checkpoint(output: Path, folder: Path) -> tuple[Path, Manifest] | None:
    """Return the checkpoint that a new attempt on `output` must resume from.

    Readers trust the newest claim's own checkpoints, then the base that it names, then that base's owner, and so on: a
    checkpoint that an older attempt commits late is on nobody's path.
    """
    found = {directory.name: (directory, m) for directory, m in complete_checkpoints(folder) if not m.weights_only}
    claims = read_claims(output)
    limit: int | None = None
    while claims:
        newest = claims[0]
        own = [entry for entry in found.values() if _belongs(entry[1], newest, limit)]
        if own:
            return max(own, key=lambda entry: entry[1].step)
        if newest.base in found:
            return found[newest.base]
        claims, limit = _owner_of(newest.base, claims[1:])
    return None


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


def checksum(path: Path) -> dict[str, Any]:
    """Return a file's size in bytes and its SHA-256."""
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _belongs(manifest: Manifest, owner: Claim, limit: int | None) -> bool:
    return manifest.attempt == owner.attempt and manifest.uid == owner.uid and (limit is None or manifest.step <= limit)


def _owner_of(base: str | None, older: list[Claim]) -> tuple[list[Claim], int | None]:
    """Return the claims from the owner of a missing base on, and the step that none of its checkpoints may pass."""
    if base is None:
        return [], None
    step, attempt = parse_name(base)
    return [claim for claim in older if claim.attempt <= attempt], step


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
