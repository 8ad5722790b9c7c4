"""The content hash of prepared data, and the key under which the choice of its files is remembered.

Which files a directory or a pattern stands for is for `datasets` to say, and importing it takes seconds. So
the answer is remembered under everything it depends on; a start that finds it only hashes those files.
"""

import glob
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Self

from finetune_api.config import TrainingConfig
from finetune_api.config.data import FinetuningDataset
from finetune_trainer.data.files import file_patterns
from finetune_trainer.data.fingerprint import (
    code_identity,
    digest,
    hash_file,
    hub_commit,
    template_gives_date,
    tokenizer_identity,
    versions,
)
from finetune_trainer.data.hub_errors import is_local
from finetune_trainer.data.source_files import SourceFiles

# These say where the data lies or how it is fetched, not what it is.
_NO_CONTENT = frozenset({"data_dir", "data_files", "cache_dir", "token", "num_proc", "keep_in_memory", "download_mode"})


@dataclass(frozen=True)
class Recipe:
    """Everything that determines the prepared rows, except the data files themselves."""

    shared: Mapping[str, Any]
    """Versions and tokenizer."""
    splits: Mapping[str, Mapping[str, Any]]
    """Settings and code of each split, by its name."""
    places: Mapping[str, Mapping[str, Any]]
    """What decides which files each split reads."""
    gives_date: bool
    """Whether rendering a conversation writes today's date."""

    @classmethod
    def of(cls, config: TrainingConfig, code_dir: Path | None) -> Self:
        """Collect the recipe of a configuration, without importing a library."""
        datasets = datasets_by_split(config)
        name, kwargs = config.tokenizer.name, config.tokenizer.kwargs
        return cls(
            shared={"versions": versions(), "tokenizer": tokenizer_identity(name, kwargs)},
            splits={split: _settings(dataset, code_dir) for split, dataset in datasets.items()},
            places={split: _place(dataset) for split, dataset in datasets.items()},
            gives_date=template_gives_date(name, kwargs),
        )

    @property
    def key(self) -> str:
        """The key under which the choice of files is remembered."""
        return digest([self.shared, self.splits, self.places])

    def split_sha256(self, files: Mapping[str, SourceFiles], *, dated: bool) -> dict[str, str]:
        """Return the content hash of each split, reading its files; `dated` when its text gives the date."""
        day = date.today().isoformat() if dated and self.gives_date else None
        return {
            split: digest([self.shared, settings, _contents(files[split]), day])
            for split, settings in self.splits.items()
        }


def datasets_by_split(config: TrainingConfig) -> dict[str, FinetuningDataset]:
    """Return the dataset of each split: `train`, and the label of each evaluation."""
    evaluations = {label: loader.dataset for label, loader in config.eval_loaders_by_label.items()}
    return {"train": config.train_loader.dataset, **evaluations}


def _settings(dataset: FinetuningDataset, code_dir: Path | None) -> dict[str, Any]:
    spec = dataset.preprocessing_fn
    return {
        "hf_name": "." if is_local(dataset.hf_name) else dataset.hf_name,
        "hf_kwargs": {k: v for k, v in dataset.hf_kwargs.items() if k not in _NO_CONTENT},
        "split": dataset.split,
        "preprocessing_fn": spec,
        "code": code_identity(spec, code_dir) if isinstance(spec, str) else None,
        "max_seq_len": dataset.max_seq_len,
        "target_prompts": dataset.target_prompts,
        "target_responses": dataset.target_responses,
        "safe_load": dataset.safe_load,
    }


def _place(dataset: FinetuningDataset) -> dict[str, Any]:
    kwargs = dataset.hf_kwargs
    on_disk = is_local(dataset.hf_name)
    base = Path(dataset.hf_name if on_disk else "") / str(kwargs.get("data_dir") or "")
    base = base.expanduser().absolute()
    return {
        "base": str(base),
        "data_files": kwargs.get("data_files"),
        "commit": None if on_disk else hub_commit("datasets", dataset.hf_name, kwargs.get("revision")),
        "listing": list(_listing(dataset, base)),
        "card": hash_file(base / "README.md") if on_disk and (base / "README.md").is_file() else None,
    }


def _listing(dataset: FinetuningDataset, base: Path) -> Iterator[str]:
    patterns = list(file_patterns(dataset.hf_kwargs.get("data_files")))
    for pattern in patterns:
        if glob.has_magic(pattern):
            yield from sorted(glob.glob(str(base / pattern), recursive=True))  # noqa: PTH207
    if patterns or not (is_local(dataset.hf_name) or dataset.hf_kwargs.get("data_dir")):
        return
    for directory, names, files in os.walk(base):
        names[:] = sorted(name for name in names if not name.startswith((".", "__")))
        yield from (str(Path(directory, name)) for name in sorted(files))


def _contents(found: SourceFiles) -> list[Any]:
    return [found.format, [[file.split, Path(file.name).name, hash_file(file.path)] for file in found.files]]
