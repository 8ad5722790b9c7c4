"""Checkpoints that are nothing but a manifest."""

from pathlib import Path
from typing import Any

from finetune_trainer.checkpoint.manifest import Identity, Manifest, checkpoint_name

IDENTITY = Identity("model", "dataset", {"global_train_batch_size": 8, "train_loader.dataset.shuffle_seed": 0})


def manifest(step: int, attempt: int, **changes: Any) -> Manifest:
    """A manifest of a job called `job`; `changes` replace its fields."""
    fields: dict[str, Any] = {
        "step": step,
        "samples": 8 * step,
        "attempt": attempt,
        "uid": "job",
        "world_size": 1,
        "microbatch": None,
        "config_sha256": "0" * 64,
        "identity": IDENTITY,
        "weights_only": False,
        "loss_scale": {"value": 1.0},
        "files": {"__0_0.distcp": {"bytes": 3, "sha256": "x"}},
    }
    return Manifest(**fields | changes)


def commit(output: Path, step: int, attempt: int, **changes: Any) -> Path:
    """Make a checkpoint of an output exist, and return its directory."""
    directory = output / "checkpoints" / checkpoint_name(step, attempt)
    directory.mkdir(parents=True)
    manifest(step, attempt, **changes).write(directory)
    return directory
