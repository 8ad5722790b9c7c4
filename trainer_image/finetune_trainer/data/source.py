"""Loads a split through `datasets.load_dataset`, after looking at its files for what that would hide."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from glob import has_magic
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune_api.config.data import FinetuningDataset
from finetune_api.errors import DatasetInvalid
from finetune_trainer.data.files import is_readable_here
from finetune_trainer.data.origins import Origins, Piece
from finetune_trainer.data.scan_csv import scan_csv, understands_csv
from finetune_trainer.data.scan_json import ColumnKinds, scan_json
from finetune_trainer.data.scan_parquet import parquet_rows
from finetune_trainer.data.source_errors import explaining
from finetune_trainer.data.source_files import LOADING_ONLY, DataFile, SourceFiles, loaded_from

if TYPE_CHECKING:
    import datasets

_WHERE = frozenset({"data_dir", "data_files", "cache_dir", "name", "revision", "token", "download_mode"})


@dataclass(frozen=True)
class Source:
    """The records of a split and where each comes from."""

    records: "datasets.Dataset"
    origins: Origins

    def __len__(self) -> int:
        return len(self.records)

    def batches(self, size: int) -> Iterator[list[dict[str, Any]]]:
        """Return the records in order, `size` at a time."""
        for columns in self.records.iter(batch_size=size):
            yield [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def load_source(dataset: FinetuningDataset, found: SourceFiles, scratch: Path) -> Source:
    """Load the split; `scratch` takes what `datasets` writes while it reads local files.

    Raises DatasetInvalid naming the file and line of a broken or empty file, or of a column of two types.
    """
    by_split = _scan(dataset, found)
    if by_split is not None and not any(map(len, by_split.values())):
        raise DatasetInvalid(
            f"{', '.join(file.name for file in found.files)}: empty, there is no record in it.",
            hint="Write one record per line.",
        )
    with explaining(dataset):
        import datasets

        datasets.disable_progress_bars()
        arguments = _load_arguments(dataset, found, scratch)
        records = datasets.load_dataset(loaded_from(dataset), split=dataset.split, **arguments)
        origins = _selected(dataset.split, by_split) if by_split is not None else Origins([])
    if len(origins) != len(records):
        origins = Origins([Piece(found.files[0].name if len(found.files) == 1 else dataset.hf_name, len(records))])
    return Source(records, origins)


def _scan(dataset: FinetuningDataset, found: SourceFiles) -> dict[str, Origins] | None:
    kinds = ColumnKinds()
    pieces: dict[str, list[Piece]] = {file.split: [] for file in found.files}
    for file in found.files:
        piece = _scanned(file, found.format, dataset.hf_kwargs, kinds)
        if piece is None:
            return None
        pieces[file.split].append(piece)
    return {split: Origins(part) for split, part in pieces.items()}


def _scanned(file: DataFile, format_: str, options: Mapping[str, Any], kinds: ColumnKinds) -> Piece | None:
    if not is_readable_here(file.path):
        return None
    reading = {k: v for k, v in options.items() if k not in _WHERE | LOADING_ONLY}
    if format_ == "json" and not options.get("field"):
        lines = scan_json(file.path, file.name, kinds, options.get("encoding") or "utf-8")
        return Piece(file.name, len(lines), lines)
    if format_ == "csv" and understands_csv(reading):
        lines = scan_csv(file.path, file.name, reading)
        return Piece(file.name, len(lines), lines)
    return Piece(file.name, parquet_rows(file.path, file.name)) if format_ == "parquet" else None


def _load_arguments(dataset: FinetuningDataset, found: SourceFiles, scratch: Path) -> dict[str, Any]:
    # One process reads: more than the CPUs that are granted would only get in each other's way.
    arguments = {k: v for k, v in dataset.hf_kwargs.items() if k != "num_proc"}
    if not found.is_local:
        return arguments
    # What datasets remembers of local files goes by their time stamps, so it starts afresh each time.
    arguments.setdefault("cache_dir", str(scratch))
    names = [str(file.path) for file in found.files]
    if dataset.hf_name == found.format and not any(has_magic(name) for name in names):
        # Only the split that is read: a broken file of another split is not this run's concern.
        arguments.pop("data_dir", None)
        arguments["data_files"] = {
            split: [str(file.path) for file in found.files if file.split == split]
            for split in {file.split: None for file in found.files}
        }
    return arguments


def _selected(split: str, by_split: Mapping[str, Origins]) -> Origins:
    import datasets

    spec = "+".join(by_split) if split == "all" else split
    parts = datasets.ReadInstruction.from_spec(spec).to_absolute({k: len(v) for k, v in by_split.items()})
    return Origins.joined(by_split[part.splitname].select([(part.from_, part.to)]) for part in parts)
