"""The checkpoints of one attempt: where it starts, what it saves, and what it may delete."""

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch.optim import Optimizer
from transformers import PreTrainedModel

from finetune_api.config import TrainingConfig
from finetune_api.errors import ConfigInvalid, RunError
from finetune_api.sizes import size_words
from finetune_trainer.checkpoint.chain import Checkpoint, trusted
from finetune_trainer.checkpoint.claims import Claim, read_claims, require_newest
from finetune_trainer.checkpoint.failure import DiskFull, Failure, not_saved
from finetune_trainer.checkpoint.manifest import (
    Identity,
    Manifest,
    check_identity,
    checkpoint_name,
    complete_checkpoints,
)
from finetune_trainer.checkpoint.on_main import on_main
from finetune_trainer.checkpoint.rotation import set_aside, superfluous
from finetune_trainer.checkpoint.store import load_state, save_state
from finetune_trainer.checkpoint.takeover import StartingPoint, Warn
from finetune_trainer.directories import discard
from finetune_trainer.fence import Fence
from finetune_trainer.train.precision import LossScale
from finetune_trainer.train.world import World


def _nothing() -> None:
    pass


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
    warn: Warn = print
    sync_records: Callable[[], None] = _nothing
    """Makes durable, on rank 0, what tells of the steps that a checkpoint stands for; called before it exists."""
    _warned: bool = False

    @property
    def fence(self) -> Fence:
        """What keeps results of this attempt from being put in place once a newer one owns the output."""
        return Fence(self.own.attempt, self.require_newest)

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
        load_state(model, optimizer, start.directory, self.world)
        scale.restore(start.manifest.loss_scale)

    def restore_weights(self, start: StartingPoint, model: PreTrainedModel) -> None:
        """Load only the weights, of a run on whatever data; raises ConfigInvalid when the model is another."""
        assert start.directory is not None
        assert start.manifest is not None
        check_identity(start.directory, start.manifest, replace(start.manifest.identity, model=self.identity.model))
        load_state(model, None, start.directory, self.world)

    def require_newest(self) -> None:
        """Raise Superseded once a newer attempt owns the output."""
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
        on_main(self.world, self.require_newest)
        directory = self.folder / checkpoint_name(step, self.own.attempt)
        try:
            files = save_state(model, None if weights_only else optimizer, directory, self.world)
            manifest = self._manifest(step, samples, scale, weights_only, files)
            on_main(self.world, lambda: self._commit(directory, manifest))
        except DiskFull:
            on_main(self.world, self._make_room)
            raise
        on_main(self.world, self._rotate)
        if not weights_only:  # nothing can be resumed from weights alone
            self.last_saved = step
        return directory

    def _manifest(
        self, step: int, samples: int, scale: LossScale, weights_only: bool, files: dict[str, dict[str, Any]]
    ) -> Manifest:
        return Manifest(
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

    def _commit(self, directory: Path, manifest: Manifest) -> None:
        try:
            self.sync_records()
            self.require_newest()
            manifest.write(directory)
        except (RunError, OSError) as error:
            with suppress(OSError):  # a volume that went away or read-only; the next attempt sweeps up
                discard(directory)
            if isinstance(error, RunError):
                raise
            raise not_saved(directory, Failure.of(error)) from error

    def _rotate(self) -> None:
        """Delete what is not to be kept any more.

        A newer attempt chooses its base after it has claimed the output, and this one looks at the claims after it has
        committed: either it sees the claim and deletes nothing, or the newer one finds this commit and needs no other.
        """
        claims = read_claims(self.output)
        uids = {claim.uid for claim in claims}
        found = [entry for entry in complete_checkpoints(self.folder) if entry[1].uid in uids]
        self.require_newest()
        most = self.config.save_max_bytes
        if most is not None:
            self._warn_of_a_small_budget(found, most)
        keep = self.config.save_num_checkpoints_to_keep
        for path in superfluous(found, list(trusted(found, claims)), keep=keep, most_bytes=most):
            self.require_newest()
            discard(path)

    def _warn_of_a_small_budget(self, found: list[Checkpoint], most: int) -> None:
        size = max(manifest.size for _, manifest in found)
        if size > most and not self._warned:
            self._warned = True
            self.warn(
                f"save_max_bytes: one checkpoint takes {size_words(size)}, more than {size_words(most)}; "
                "the newest is kept all the same, and no other"
            )

    def _make_room(self) -> None:
        """Delete the damaged checkpoints that were set aside: nothing needs them, and the disk is full."""
        self.require_newest()
        for path in set_aside(self.folder):
            self.warn(f"{path} is deleted to make room")
            with suppress(OSError):  # why the save failed is what matters
                discard(path)


def model_fingerprint(model: PreTrainedModel) -> str:
    """Return a digest of the names and global shapes of the model's parameters."""
    return digest([[name, list(parameter.shape)] for name, parameter in model.named_parameters()])


def digest(value: Any) -> str:
    """Return the SHA-256 of a JSON-able value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
