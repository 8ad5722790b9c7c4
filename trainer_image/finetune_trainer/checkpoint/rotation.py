"""Which checkpoints go when there are more, or larger ones, than a run is to keep."""

from collections.abc import Sequence
from pathlib import Path

from finetune_trainer.checkpoint.chain import Checkpoint
from finetune_trainer.checkpoint.manifest import is_checkpoint_name, parse_name

DAMAGED = "damaged-"
MOST_DAMAGED = 2
"""How many damaged checkpoints stay for whoever wants to look at them."""


def superfluous(
    found: Sequence[Checkpoint], chain: Sequence[Checkpoint], *, keep: int, most_bytes: int | None = None
) -> list[Path]:
    """Return the directories to delete so that the `keep` best stay (-1: all), in `most_bytes` (None: any number).

    The best are those of the chain, in its order; what is on nobody's path goes first. The best always stays, and so
    does the best that a run can be resumed from.
    """
    best_first = [*chain, *_others(found, chain)]
    needed = {entry[0] for entry in (*chain[:1], *_first_resumable(chain))}
    counted = best_first if keep < 0 else best_first[: max(1, keep)]
    staying = [entry for entry in best_first if entry in counted or entry[0] in needed]
    if most_bytes is not None:
        staying = _within(staying, needed, most_bytes)
    kept = {entry[0] for entry in staying}
    return [entry[0] for entry in best_first if entry[0] not in kept]


def abandoned(folder: Path, attempt: int) -> list[Path]:
    """Return the directories of saves that attempts before `attempt` never finished."""
    unfinished = [path for path in folder.glob("step-*") if not (path / "manifest.json").exists()]
    # A name that is not one of ours is somebody else's directory.
    return [path for path in unfinished if is_checkpoint_name(path.name) and parse_name(path.name)[1] < attempt]


def set_aside(folder: Path) -> list[Path]:
    """Return the damaged checkpoints that were set aside, oldest first."""
    found = [path for path in folder.glob(f"{DAMAGED}*") if is_checkpoint_name(path.name.removeprefix(DAMAGED))]
    return sorted(found, key=lambda path: parse_name(path.name.removeprefix(DAMAGED))[::-1])


def _within(best_first: list[Checkpoint], needed: set[Path], most_bytes: int) -> list[Checkpoint]:
    size = sum(manifest.size for _, manifest in best_first)
    kept = []
    for directory, manifest in reversed(best_first):
        if size > most_bytes and directory not in needed:
            size -= manifest.size
        else:
            kept.append((directory, manifest))
    return kept


def _others(found: Sequence[Checkpoint], chain: Sequence[Checkpoint]) -> list[Checkpoint]:
    on_the_path = {entry[0] for entry in chain}
    others = [entry for entry in found if entry[0] not in on_the_path]
    return sorted(others, key=lambda entry: (entry[1].attempt, entry[1].step), reverse=True)


def _first_resumable(best_first: Sequence[Checkpoint]) -> list[Checkpoint]:
    return [entry for entry in best_first if not entry[1].weights_only][:1]
