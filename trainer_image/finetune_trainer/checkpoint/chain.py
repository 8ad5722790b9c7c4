"""Which checkpoints a reader may trust, newest first."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from finetune_trainer.checkpoint.claims import Claim, read_claims
from finetune_trainer.checkpoint.manifest import Manifest, complete_checkpoints, parse_name

Checkpoint = tuple[Path, Manifest]


def trusted(checkpoints: Iterable[Checkpoint], claims: Sequence[Claim]) -> Iterator[Checkpoint]:
    """Yield the checkpoints that a new attempt may resume from, best first; `claims` newest first.

    Those are the newest claim's own, then the base that it names, then the older ones of that base's owner, and so on:
    a checkpoint that an older attempt commits late is on nobody's path. A base that is gone is passed over.
    """
    found = {directory.name: (directory, manifest) for directory, manifest in checkpoints}
    left, limit = [claim for claim in claims if claim.decided], None
    while left:
        owner = left[0]
        own = [entry for entry in found.values() if _belongs(entry[1], owner, limit)]
        yield from sorted(own, key=lambda entry: entry[1].step, reverse=True)
        if owner.base is None:
            return
        if owner.base in found:
            yield found[owner.base]
        limit, attempt = parse_name(owner.base)
        left = [claim for claim in left[1:] if claim.attempt <= attempt]


def newest_checkpoint(output: Path, folder: Path) -> Checkpoint | None:
    """Return the checkpoint that a new attempt on `output` must resume from."""
    resumable = [entry for entry in complete_checkpoints(folder) if not entry[1].weights_only]
    return next(trusted(resumable, read_claims(output)), None)


def _belongs(manifest: Manifest, owner: Claim, limit: int | None) -> bool:
    """Whether a claim's holder made it, before step `limit` where others went on from there."""
    mine = (manifest.attempt, manifest.uid) == (owner.attempt, owner.uid)
    return mine and (limit is None or manifest.step < limit)
