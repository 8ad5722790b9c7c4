"""How an attempt takes an output over: claim it, find the newest intact checkpoint, and settle on it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from finetune_api.errors import ConfigInvalid
from finetune_trainer.checkpoint.chain import newest_checkpoint
from finetune_trainer.checkpoint.claims import (
    Claim,
    claim,
    decide,
    inherited_attempts,
    read_claims,
    refuse_other_jobs,
    require_newest,
)
from finetune_trainer.checkpoint.export import INTERMEDIATE
from finetune_trainer.checkpoint.integrity import find_damage
from finetune_trainer.checkpoint.manifest import (
    DamagedManifest,
    Manifest,
    complete_checkpoints,
    damaged_manifests,
    parse_name,
    read_manifest,
)
from finetune_trainer.checkpoint.on_main import on_main
from finetune_trainer.checkpoint.rotation import DAMAGED, MOST_DAMAGED, abandoned, set_aside
from finetune_trainer.directories import discard
from finetune_trainer.fence import sweep
from finetune_trainer.train.world import World

Warn = Callable[[str], None]


@dataclass(frozen=True)
class StartingPoint:
    """The checkpoint an attempt resumes from; None and step 0 for a run that begins."""

    directory: Path | None
    manifest: Manifest | None

    @property
    def step(self) -> int:
        """The optimizer steps that are done."""
        return self.manifest.step if self.manifest else 0


@dataclass(frozen=True)
class Takeover:
    """What is taken over, by whom: attempt `attempt` of job `uid`, counted from 0 within the job."""

    output: Path
    folder: Path
    attempt: int
    uid: str
    resume_from: str | None
    warn: Warn = print


def claim_output(what: Takeover, world: World) -> tuple[Claim, StartingPoint]:
    """Take ownership of the output, on all ranks together, and return the claim with where to start.

    The claim comes first, so that no older attempt commits or deletes anything from then on; only then the starting
    point is chosen, read through, and settled. A damaged checkpoint is set aside and the one before it takes its place.

    Raises ConfigInvalid when the output or the folder is another job's, Superseded when a newer attempt has it.
    """
    own = on_main(world, lambda: _claim(what))
    lost = on_main(world, lambda: _set_aside_unreadable(what, own))
    start, lost = _first_intact(what, own, world, lost)
    return on_main(world, lambda: _settle(what, own, start, lost)), start


def _first_intact(what: Takeover, own: Claim, world: World, lost: int) -> tuple[StartingPoint, int]:
    start = on_main(world, lambda: _newest(what))
    problem = _damage(start, world)
    if problem is None:
        return start, lost
    on_main(world, lambda: _set_aside(what, own, start, problem))
    return _first_intact(what, own, world, max(lost, start.step))


def explicit_checkpoint(path: Path) -> StartingPoint:
    """Return the checkpoint that `load_path` names: its directory, or an output directory or folder of checkpoints.

    Raises ConfigInvalid when there is none, or the newest of several is damaged.
    """
    try:
        manifest = read_manifest(path)
    except DamagedManifest as damage:
        raise ConfigInvalid(f"load_path: checkpoint {path} is damaged: {damage}") from damage
    if manifest is not None:
        return StartingPoint(path, manifest)
    for folder in (path, path / "checkpoints"):
        found = list(complete_checkpoints(folder))
        if found:
            newest = max(found, key=lambda entry: (entry[1].attempt, entry[1].step))
            _refuse_newer_damage(folder, newest[0])
            return StartingPoint(*newest)
    raise ConfigInvalid(
        f"load_path: {path} holds no complete checkpoint", hint="Name a directory with a manifest.json."
    )


def _refuse_newer_damage(folder: Path, chosen: Path) -> None:
    for directory, problem in damaged_manifests(folder):
        if parse_name(directory.name)[::-1] > parse_name(chosen.name)[::-1]:
            raise ConfigInvalid(
                f"load_path: checkpoint {directory} is damaged: {problem}",
                hint=f"Name the checkpoint to start from, for instance {chosen}.",
            )


def _claim(what: Takeover) -> Claim:
    held = read_claims(what.output)
    refuse_other_jobs(what.output, held, what.uid, what.resume_from)
    _refuse_other_checkpoints(what.folder, {what.uid, what.resume_from, *(other.uid for other in held)})
    _look_for_what_is_continued(what, held)
    number = what.attempt + inherited_attempts(held, what.uid)
    own = claim(what.output, Claim(number, what.uid, None, decided=False), resume_from=what.resume_from)
    for leftover in abandoned(what.folder, number):
        discard(leftover)
    for folder in {what.output, what.folder, what.output / INTERMEDIATE}:
        sweep(folder, number)
    return own


def _refuse_other_checkpoints(folder: Path, own_uids: set[str | None]) -> None:
    """Two jobs may not share a `save_folder`: their checkpoints have the same names."""
    for directory, manifest in complete_checkpoints(folder):
        if manifest.uid not in own_uids:
            raise ConfigInvalid(
                f"save_folder: {directory} is a checkpoint of another job (uid {manifest.uid})",
                hint="Give each job a folder of its own, for instance with {run_name} in it.",
            )


def _look_for_what_is_continued(what: Takeover, held: list[Claim]) -> None:
    """A job that continues another but has another `save_folder` would begin at step 0 beside its checkpoints."""
    begun = any(other.uid == what.uid for other in held)
    if what.resume_from is None or begun or _ever_saved(what.folder):
        return
    if any(other.base for other in held) or _ever_saved(what.output / "checkpoints"):
        raise ConfigInvalid(
            f"save_folder: {what.folder} holds no checkpoint of job {what.resume_from}, which resumeFrom names",
            hint="Set save_folder to the folder of that job, or start anew in an empty output without resumeFrom.",
        )
    what.warn(
        f"resumeFrom: {what.folder} holds no checkpoint of job {what.resume_from}, so training begins at step 0; "
        "if that job had saved any, its save_folder was another one"
    )


def _ever_saved(folder: Path) -> bool:
    return any(any(kind(folder)) for kind in (complete_checkpoints, damaged_manifests, set_aside))


def _newest(what: Takeover) -> StartingPoint:
    return StartingPoint(*(newest_checkpoint(what.output, what.folder) or (None, None)))


def _damage(start: StartingPoint, world: World) -> str | None:
    if start.directory is None or start.manifest is None:
        return None
    return find_damage(start.directory, start.manifest, world)


def _set_aside_unreadable(what: Takeover, own: Claim) -> int:
    """Set checkpoints with a damaged manifest aside, and return the last step that any of them stood for."""
    lost = -1
    for directory, problem in list(damaged_manifests(what.folder)):
        step, attempt = parse_name(directory.name)
        if attempt < own.attempt:
            lost = max(lost, step)
            _move(what, own, directory, problem)
    return lost


def _set_aside(what: Takeover, own: Claim, start: StartingPoint, problem: str) -> None:
    assert start.directory is not None
    require_newest(what.output, own)
    # An older attempt that had passed its last check may have deleted it meanwhile, in which case a newer one is there.
    if (start.directory / "manifest.json").exists():
        _move(what, own, start.directory, problem)


def _move(what: Takeover, own: Claim, directory: Path, problem: str) -> None:
    """Rename a damaged checkpoint, so that nobody trusts or counts it again."""
    require_newest(what.output, own)
    target = directory.with_name(f"{DAMAGED}{directory.name}")
    discard(target)
    try:
        directory.rename(target)
    except FileNotFoundError:
        return
    what.warn(f"checkpoint {directory} is damaged: {problem}; it is set aside as {target.name}")


def _settle(what: Takeover, own: Claim, start: StartingPoint, lost: int) -> Claim:
    require_newest(what.output, own)
    settled = decide(what.output, own, start.directory.name if start.directory else None)
    if lost > start.step or (lost >= 0 and start.directory is None):
        place = f"step {start.step}, which is intact" if start.directory else "the beginning: no older one is intact"
        what.warn(f"the damaged checkpoint of step {lost} cannot be resumed from; the run falls back to {place}")
    if start.directory is not None:
        _delete_old_damage(what)
    return settled


def _delete_old_damage(what: Takeover) -> None:
    """Keep the last damaged checkpoints to be looked at; where none is intact, all of them stay."""
    for oldest in set_aside(what.folder)[:-MOST_DAMAGED]:
        what.warn(f"{oldest} is deleted: only the last {MOST_DAMAGED} damaged checkpoints stay")
        discard(oldest)
