"""What a command is given: a file with overrides, as a checked configuration for this machine."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune_api.config import LoadedConfig, TrainingConfig, parse_training_config
from finetune_api.job import FinetuneJob
from finetune_api.manifest import JobManifest, load_file
from finetune_cli.mounts import Mount, job_mounts, parse_mounts
from finetune_cli.paths import Places, localise


@dataclass(frozen=True)
class LocalInput:
    """A training file or manifest as it applies to this machine."""

    name: str
    """For the default output directory and the launch: the run's or job's name, or the file's."""
    config: TrainingConfig
    """With paths that exist here."""
    ignored: tuple[str, ...]
    code_dir: Path
    """Where the user's modules are found first."""
    job: FinetuneJob | None
    output: Path | None
    """The directory mounted for the job's output claim, if one was."""


def check(file: Path, overrides: Sequence[str]) -> tuple[LoadedConfig, FinetuneJob | None]:
    """Read and check a file without looking at any path in it; raises ConfigInvalid with all mistakes."""
    document = load_file(file)
    return document.training_config(overrides), document.job if isinstance(document, JobManifest) else None


def localised(file: Path, overrides: Sequence[str], mounts: Sequence[str]) -> LocalInput:
    """Read and check a file and give its paths their meaning on this machine.

    ConfigMaps of the same file are written below the cache. Raises ConfigInvalid with all mistakes.
    """
    document = load_file(file)
    loaded = document.training_config(overrides)
    folder = file.absolute().parent
    if isinstance(document, JobManifest):
        # Named by content, so that a resumed run finds the same files under the same paths.
        digest = hashlib.sha256(file.read_bytes()).hexdigest()[:16]
        scratch = cache_directory() / "config-maps" / digest
        found = job_mounts(document, parse_mounts(mounts), scratch)
        config = _localise(loaded.config, found.inputs, folder)
        code = found.code or folder
        return LocalInput(document.job.metadata.name, config, loaded.ignored, code, document.job, found.output)
    parse_mounts(mounts, unused=True)
    config = _localise(loaded.config, (), folder)
    return LocalInput(config.run_name or file.stem, config, loaded.ignored, folder, None, None)


def _localise(config: TrainingConfig, mounts: Sequence[Mount], folder: Path) -> TrainingConfig:
    values: dict[str, Any] = localise(config.resolved(), Places(tuple(mounts), Path.cwd(), folder))
    return parse_training_config(values).config


def cache_directory() -> Path:
    """`$FINETUNE_CACHE`, or `finetune` below the user's cache directory."""
    chosen = os.environ.get("FINETUNE_CACHE")
    if chosen:
        return Path(chosen).absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "finetune"
