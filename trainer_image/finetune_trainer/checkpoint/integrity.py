"""Whether a checkpoint's files are what was written; a disk that cannot be read at the moment is no damage."""

import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from finetune_api.errors import ConfigInvalid, Retryable
from finetune_trainer.checkpoint.manifest import Manifest, checksum
from finetune_trainer.checkpoint.on_main import on_main
from finetune_trainer.train.world import World


@dataclass(frozen=True)
class _Look:
    """What one rank sees of its share: what is wrong with which file, or why it cannot read at all."""

    rank: int
    host: str
    problems: dict[str, str] = field(default_factory=dict)
    failure: str | None = None


def find_damage(directory: Path, manifest: Manifest, world: World) -> str | None:
    """Return what is wrong with a checkpoint, the same on every rank; None for an intact one.

    Each rank reads its share of the files. Raises Retryable, on every rank, when one of them cannot read at all, or
    finds damage where rank 0 finds none.
    """
    names = sorted(manifest.files)[world.rank :: world.size]
    looks: list[_Look] = world.gather(_look(directory, names, manifest, world))  # type: ignore[assignment]
    for look in looks:
        _require_readable(directory, look)
    first = next((look for look in looks if look.problems), None)
    return on_main(world, lambda: _confirmed(directory, manifest, first, world)) if first else None


def require_intact(directory: Path, manifest: Manifest, world: World) -> None:
    """Raise ConfigInvalid, on every rank, for a damaged checkpoint that the configuration itself names."""
    problem = find_damage(directory, manifest, world)
    if problem is not None:
        raise ConfigInvalid(
            f"load_path: checkpoint {directory} is damaged: {problem}", hint="Name another checkpoint, or restore it."
        )


def _look(directory: Path, names: list[str], manifest: Manifest, world: World) -> _Look:
    rank, host = world.rank, socket.gethostname()
    try:
        found = {name: _problem(directory / name, manifest.files[name], world.heart.touch) for name in names}
    except OSError as error:
        return _Look(rank, host, failure=f"{type(error).__name__}: {error}")
    return _Look(rank, host, {name: problem for name, problem in found.items() if problem})


def _require_readable(directory: Path, look: _Look) -> None:
    if look.failure:
        raise Retryable(f"checkpoint {directory} could not be read: {look.failure} (rank {look.rank} on {look.host})")


def _confirmed(directory: Path, manifest: Manifest, accuser: _Look, world: World) -> str:
    """Return the damage that a rank tells of, once rank 0 has seen it too.

    The mount of one machine may be empty, stale, or of another volume: nothing is set aside on its word alone.
    """
    name, problem = next(iter(accuser.problems.items()))
    if accuser.rank == 0:
        return problem
    again = _look(directory, [name], manifest, world)
    _require_readable(directory, again)
    if again.problems:
        return again.problems[name]
    raise Retryable(
        f"checkpoint {directory}: {problem} on {accuser.host} (rank {accuser.rank}), but is intact on {again.host}",
        hint="Look at the mount of that folder on that machine: all nodes must see the same volume.",
    )


def _problem(path: Path, expected: dict[str, Any], touch: Callable[[], None]) -> str | None:
    try:
        size = path.stat().st_size
        if size != expected["bytes"]:
            return f"{path.name} has {size} bytes instead of {expected['bytes']}"
        intact = checksum(path, touch) == expected
        return None if intact else f"{path.name} is not what was written (its SHA-256 differs)"
    except (FileNotFoundError, NotADirectoryError):
        return f"{path.name} is missing"
    except IsADirectoryError:
        return f"{path.name} is a directory"
