"""Asks `datasets` which files a split is made of, and fetches those that lie on a hub."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from finetune_api.config.data import FinetuningDataset
from finetune_api.errors import DatasetInvalid
from finetune_trainer.data.files import file_patterns, shown
from finetune_trainer.data.fingerprint import hub_snapshot
from finetune_trainer.data.hub_errors import is_local as is_directory
from finetune_trainer.data.hub_errors import is_offline
from finetune_trainer.data.source_errors import FORMATS, check_paths, explaining, no_match, unknown_split

# Arguments of load_dataset that its builder does not take.
LOADING_ONLY = frozenset(
    {"num_proc", "keep_in_memory", "save_infos", "verification_mode", "streaming", "trust_remote_code"}
)
_SAFE_SUFFIXES = (".csv", ".json", ".jsonl", ".parquet")


class DataFile(NamedTuple):
    """One file of a split, on this machine."""

    split: str
    path: Path
    url: str | None = None
    """Where it was fetched from."""

    @property
    def name(self) -> str:
        """The file as errors show it."""
        return self.url or shown(self.path)


@dataclass(frozen=True)
class SourceFiles:
    """What `load_dataset` reads for a split: the format, and the files in reading order."""

    format: str
    files: tuple[DataFile, ...]
    is_local: bool


def find_files(dataset: FinetuningDataset) -> SourceFiles:
    """Return the files that make up the split, fetched from the hub where they lie there.

    Raises DatasetInvalid for what is missing and Retryable when the network is.
    """
    check_paths(dataset)
    with explaining(dataset):
        import datasets

        kwargs = {k: v for k, v in dataset.hf_kwargs.items() if k not in LOADING_ONLY}
        with TemporaryDirectory(prefix="finetune-") as scratch:
            if _lies_here(dataset):
                kwargs.setdefault("cache_dir", scratch)
            builder = datasets.load_dataset_builder(loaded_from(dataset), **kwargs)
        by_split = {str(split): list(files) for split, files in (builder.config.data_files or {}).items()}
    wanted = _splits_read(dataset.split, list(by_split))
    for name in wanted:
        if name not in by_split:
            raise unknown_split(dataset, name, list(by_split))
    is_local = not any("://" in name for split in wanted for name in by_split[split])
    with explaining(dataset):
        files = tuple(
            file for split in wanted for file in (_here if is_local else _fetched)(split, by_split[split], dataset)
        )
    if not files:
        raise no_match(dataset)
    _check_safe(dataset, files)
    return SourceFiles(builder.name, files, is_local)


def loaded_from(dataset: FinetuningDataset) -> str:
    """Return what `datasets` is told to load: where hub access is off, the hub's cache stands for a name of the hub.

    Left to itself `datasets` finds offline only what it has loaded before, not what was merely fetched.
    """
    name = dataset.hf_name
    if name in FORMATS or not is_offline():
        return name
    return str(hub_snapshot("datasets", name, dataset.hf_kwargs.get("revision")) or name)


def _lies_here(dataset: FinetuningDataset) -> bool:
    names = file_patterns(dataset.hf_kwargs.get("data_files"))
    return (dataset.hf_name in FORMATS or is_directory(loaded_from(dataset))) and not any("://" in n for n in names)


def _splits_read(split: str, existing: list[str]) -> list[str]:
    # An expression such as train[:50%]+test names its splits before the brackets.
    names = dict.fromkeys(part.partition("[")[0].strip() for part in split.split("+"))
    return existing if list(names) == ["all"] else list(names)


def _here(split: str, names: Sequence[str], dataset: FinetuningDataset) -> list[DataFile]:
    return [DataFile(split, Path(name)) for name in names]


def _fetched(split: str, urls: Sequence[str], dataset: FinetuningDataset) -> list[DataFile]:
    import datasets

    kwargs = dataset.hf_kwargs
    config = datasets.DownloadConfig(token=kwargs.get("token"), cache_dir=kwargs.get("cache_dir"), disable_tqdm=True)
    paths = datasets.DownloadManager(download_config=config).download(list(urls))
    return [DataFile(split, Path(str(path)), url) for path, url in zip(paths, urls, strict=True)]


def _check_safe(dataset: FinetuningDataset, files: Sequence[DataFile]) -> None:
    if not dataset.safe_load:
        return
    for file in files:
        if Path(file.name).suffix not in _SAFE_SUFFIXES:
            raise DatasetInvalid(
                f"{file.name}: safe_load reads only {', '.join(_SAFE_SUFFIXES)}.",
                hint="Name the files to read in hf_kwargs.data_files, or set safe_load: false.",
            )
