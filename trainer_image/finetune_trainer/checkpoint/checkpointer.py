"""The checkpoints of one attempt: where it starts, what it saves, and what it may delete."""

import hashlib
import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch.optim import Optimizer
from transformers import PreTrainedModel

from finetune_api.config import TrainingConfig
from finetune_api.errors import ConfigInvalid, Retryable
from finetune_trainer.checkpoint.claims import (
    Claim,
    claim,
    inherited_attempts,
    read_claims,
    refuse_other_jobs,
    require_newest,
)
from finetune_trainer.checkpoint.manifest import (
    Identity,
    Manifest,
    check_identity,
    checkpoint_name,
    complete_checkpoints,
    newest_checkpoint,
    read_manifest,
)
from finetune_trainer.checkpoint.rotation import abandoned, superfluous
from finetune_trainer.checkpoint.store import describe_failure, load_state, save_state, verify_files
from finetune_trainer.train.precision import LossScale
from finetune_trainer.train.world import World


@dataclass(frozen=True)
class StartingPoint:
    """The checkpoint an attempt resumes from; None and step 0 for a run that begins."""

    directory: Path | None
    manifest: Manifest | None

    @property
    def step(self) -> int:
        """The optimizer steps that are done."""
        return self.manifest.step if self.manifest else 0


def checkpoint_folder(output: Path, config: TrainingConfig) -> Path:
    """Return where a run's checkpoints lie: `save_folder`, else a folder of the output."""
    if config.save_folder is None:
        return output / "checkpoints"
    return Path(config.save_folder.replace("{run_name}", config.run_name or "run"))


def claim_output(
    output: Path, folder: Path, *, attempt: int, uid: str, resume_from: str | None
) -> tuple[Claim, StartingPoint]:
    """Take ownership of the output directory and return the claim with where to start; rank 0 only.

    Raises ConfigInvalid when the output or the folder is another job's, Retryable when a newer attempt has it.
    """
    held = read_claims(output)
    refuse_other_jobs(output, held, uid, resume_from)
    _refuse_other_checkpoints(folder, {uid, resume_from, *(other.uid for other in held)})
    found = newest_checkpoint(output, folder)
    attempt += inherited_attempts(held, uid)
    own = claim(output, Claim(attempt, uid, found[0].name if found else None), resume_from=resume_from)
    for leftover in abandoned(folder, attempt):
        shutil.rmtree(leftover, ignore_errors=True)
    return own, StartingPoint(*found) if found else StartingPoint(None, None)


def _refuse_other_checkpoints(folder: Path, own_uids: set[str | None]) -> None:
    """Two jobs may not share a `save_folder`: their checkpoints have the same names."""
    for directory, manifest in complete_checkpoints(folder):
        if manifest.uid not in own_uids:
            raise ConfigInvalid(
                f"save_folder: {directory} is a checkpoint of another job (uid {manifest.uid})",
                hint="Give each job a folder of its own, for instance with {run_name} in it.",
            )


def explicit_checkpoint(path: Path) -> StartingPoint:
    """Return the checkpoint that `load_path` names: its directory, or an output directory or folder of checkpoints.

    Raises ConfigInvalid when there is none.
    """
    manifest = read_manifest(path)
    if manifest is not None:
        return StartingPoint(path, manifest)
    for folder in (path, path / "checkpoints"):
        found = list(complete_checkpoints(folder))
        if found:
            return StartingPoint(*max(found, key=lambda entry: (entry[1].attempt, entry[1].step)))
    raise ConfigInvalid(
        f"load_path: {path} holds no complete checkpoint", hint="Name a directory with a manifest.json."
    )


@dataclass
class Checkpointer:
    """Saves the state of one attempt under the rules of its claim."""

    output: Path
    folder: Path
    own: Claim
    identity: Identity
    config: TrainingConfig
    world: World
    last_saved: int

    def restore(self, start: StartingPoint, model: PreTrainedModel, optimizer: Optimizer, scale: LossScale) -> None:
        """Load weights, optimizer and loss scale of the starting point; raises ConfigInvalid for another run's."""
        assert start.directory is not None
        assert start.manifest is not None
        check_identity(start.directory, start.manifest, self.identity)
        if start.manifest.weights_only:
            raise ConfigInvalid(
                f"load_path: {start.directory} holds weights without optimizer state",
                hint="Write load_weights_only: true to begin a new run with them.",
            )
        verify_files(start.directory, start.manifest, self.world)
        load_state(model, optimizer, start.directory)
        scale.restore(start.manifest.loss_scale)

    def restore_weights(self, start: StartingPoint, model: PreTrainedModel) -> None:
        """Load only the weights, of a run on whatever data; raises ConfigInvalid when the model is another."""
        assert start.directory is not None
        assert start.manifest is not None
        check_identity(start.directory, start.manifest, replace(start.manifest.identity, model=self.identity.model))
        verify_files(start.directory, start.manifest, self.world)
        load_state(model, None, start.directory)

    def require_newest(self) -> None:
        """Raise Retryable once a newer attempt owns the output."""
        require_newest(self.output, self.own)

    def save(
        self,
        step: int,
        samples: int,
        model: PreTrainedModel,
        optimizer: Optimizer,
        scale: LossScale,
        *,
        weights_only: bool = False,
    ) -> Path:
        """Save the state after `step` steps; every rank returns after it exists, or raises Retryable."""
        directory = self.folder / checkpoint_name(step, self.own.attempt)
        files = save_state(model, None if weights_only else optimizer, directory, self.world)
        manifest = Manifest(
            step=step,
            samples=samples,
            attempt=self.own.attempt,
            uid=self.own.uid,
            world_size=self.world.size,
            microbatch=self.config.device_train_microbatch_size,
            config_sha256=digest(self.config.resolved()),
            identity=self.identity,
            weights_only=weights_only,
            loss_scale=scale.state(),
            files=files,
        )
        if self.world.is_main:
            self._commit(directory, manifest)
        self.world.gather(None)  # nobody goes on before the checkpoint exists
        if not weights_only:  # nothing can be resumed from weights alone
            self.last_saved = step
        return directory

    def _commit(self, directory: Path, manifest: Manifest) -> None:
        self.require_newest()
        try:
            manifest.write(directory)
        except OSError as error:
            shutil.rmtree(directory, ignore_errors=True)
            raise Retryable(f"checkpoint {directory} could not be saved: {describe_failure(error)}") from error
        kept = list(complete_checkpoints(self.folder))
        for path in superfluous(kept, self.config.save_num_checkpoints_to_keep):
            # The manifest goes first: a checkpoint that is half deleted must not look complete.
            (path / "manifest.json").unlink(missing_ok=True)
            shutil.rmtree(path, ignore_errors=True)


def model_fingerprint(model: PreTrainedModel) -> str:
    """Return a digest of the names and global shapes of the model's parameters."""
    return digest([[name, list(parameter.shape)] for name, parameter in model.named_parameters()])


def digest(value: Any) -> str:
    """Return the SHA-256 of a JSON-able value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
