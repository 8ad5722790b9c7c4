"""Which checkpoints go when there are more than a run is to keep."""

from collections.abc import Iterable
from pathlib import Path

from finetune_trainer.checkpoint.manifest import Manifest, is_checkpoint_name, parse_name


def superfluous(checkpoints: Iterable[tuple[Path, Manifest]], keep: int) -> list[Path]:
    """Return the directories to delete so that the `keep` newest stay; -1 keeps all.

    The newest always stays, and so does the newest that a run can be resumed from.
    """
    if keep < 0:
        return []
    newest_first = sorted(checkpoints, key=lambda entry: (entry[1].attempt, entry[1].step), reverse=True)
    resumable = next((directory for directory, manifest in newest_first if not manifest.weights_only), None)
    return [directory for directory, _ in newest_first[max(1, keep) :] if directory != resumable]


def abandoned(folder: Path, attempt: int) -> list[Path]:
    """Return the directories of saves that attempts before `attempt` never finished."""
    unfinished = [path for path in folder.glob("step-*") if not (path / "manifest.json").exists()]
    # A name that is not one of ours is somebody else's directory.
    return [path for path in unfinished if is_checkpoint_name(path.name) and parse_name(path.name)[1] < attempt]
