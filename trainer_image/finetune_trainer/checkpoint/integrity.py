"""Whether a checkpoint's files are what was written; a disk that cannot be read at the moment is no damage."""

from pathlib import Path
from typing import Any

from finetune_api.errors import ConfigInvalid, Retryable
from finetune_trainer.checkpoint.manifest import Manifest, checksum
from finetune_trainer.train.world import World

_Found = tuple[list[str], str | None]


def find_damage(directory: Path, manifest: Manifest, world: World) -> str | None:
    """Return what is wrong with a checkpoint, the same on every rank; None for an intact one.

    Each rank reads its share of the files. Raises Retryable, on every rank, when one of them cannot read at all.
    """
    names = sorted(manifest.files)[world.rank :: world.size]
    answers: list[_Found] = world.gather(_look(directory, names, manifest.files))  # type: ignore[assignment]
    unreadable = [failure for _, failure in answers if failure]
    if unreadable:
        raise Retryable(f"checkpoint {directory} could not be read: {unreadable[0]}")
    return next((problem for problems, _ in answers for problem in problems), None)


def require_intact(directory: Path, manifest: Manifest, world: World) -> None:
    """Raise ConfigInvalid, on every rank, for a damaged checkpoint that the configuration itself names."""
    problem = find_damage(directory, manifest, world)
    if problem is not None:
        raise ConfigInvalid(
            f"load_path: checkpoint {directory} is damaged: {problem}", hint="Name another checkpoint, or restore it."
        )


def _look(directory: Path, names: list[str], expected: dict[str, dict[str, Any]]) -> _Found:
    try:
        problems = [_problem(directory / name, expected[name]) for name in names]
    except OSError as error:
        return [], f"{type(error).__name__}: {error}"
    return [problem for problem in problems if problem], None


def _problem(path: Path, expected: dict[str, Any]) -> str | None:
    try:
        size = path.stat().st_size
        if size != expected["bytes"]:
            return f"{path.name} has {size} bytes instead of {expected['bytes']}"
        return None if checksum(path) == expected else f"{path.name} is not what was written (its SHA-256 differs)"
    except (FileNotFoundError, NotADirectoryError):
        return f"{path.name} is missing"
    except IsADirectoryError:
        return f"{path.name} is a directory"
