"""Gives the paths of a configuration their meaning on this machine: a pure rewriting of plain values."""

import glob
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune_cli.mounts import Mount

_BUILDERS = frozenset({"json", "csv", "parquet", "arrow", "text", "xml", "imagefolder", "audiofolder", "webdataset"})
"""Names of file formats in `hf_name`, never of directories."""


@dataclass(frozen=True)
class Places:
    """Where paths may be looked for."""

    mounts: tuple[Mount, ...]
    """Directories that stand for mounted volumes."""
    working_directory: Path
    """Tried first for relative paths, as LLM Foundry does."""
    folder: Path
    """The training file's own directory, tried next."""

    def resolve(self, value: str) -> str:
        """The path on this machine; what exists nowhere (a hub name, a mistake) stays as it is."""
        if "://" in value:
            return value
        if value.startswith("/"):
            return next((str(path) for mount in self.mounts if (path := mount.inside(value))), value)
        candidates = [self.working_directory / value, self.folder / value]
        return next((str(path) for path in candidates if _exists(path)), value)


def localise(config: Mapping[str, Any], places: Places) -> dict[str, Any]:
    """Return the configuration with every input path resolved; names of things on a hub are left alone."""
    changed = dict(config)
    model, tokenizer = dict(config["model"]), dict(config["tokenizer"])
    if "pretrained_model_name_or_path" in model:
        model["pretrained_model_name_or_path"] = places.resolve(model["pretrained_model_name_or_path"])
    tokenizer["name"] = places.resolve(tokenizer["name"])
    changed |= {"model": model, "tokenizer": tokenizer}
    for key in ("train_loader", "eval_loader", "eval_loaders"):
        changed[key] = _loaders(config.get(key), places)
    if config.get("load_path"):
        changed["load_path"] = places.resolve(config["load_path"])
    return changed


def _loaders(loaders: Any, places: Places) -> Any:
    if isinstance(loaders, list):
        return [_loaders(loader, places) for loader in loaders]
    if not isinstance(loaders, Mapping):
        return loaders
    return {**loaders, "dataset": _dataset(loaders["dataset"], places)}


def _dataset(dataset: Mapping[str, Any], places: Places) -> dict[str, Any]:
    changed = dict(dataset)
    if changed["hf_name"] not in _BUILDERS:
        changed["hf_name"] = places.resolve(changed["hf_name"])
    options = dict(changed.get("hf_kwargs") or {})
    if isinstance(options.get("data_dir"), str):
        options["data_dir"] = places.resolve(options["data_dir"])
    if "data_files" in options and "data_dir" not in options:  # with a data_dir they are relative to it
        options["data_files"] = _files(options["data_files"], places)
    return changed | ({"hf_kwargs": options} if options else {})


def _files(files: Any, places: Places) -> Any:
    """`data_files` is a path, a list of them, or either by split."""
    if isinstance(files, str):
        return places.resolve(files)
    if isinstance(files, list):
        return [_files(file, places) for file in files]
    if isinstance(files, Mapping):
        return {split: _files(file, places) for split, file in files.items()}
    return files


def _exists(path: Path) -> bool:
    if not glob.has_magic(str(path)):
        return path.exists()
    pattern = str(path.relative_to(path.anchor))
    return any(True for _ in Path(path.anchor).glob(pattern))
