"""Prepares a configuration's datasets: load, preprocess, tokenize, store; or finds them prepared already."""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from finetune_api.config import TrainingConfig
from finetune_api.config.data import FinetuningDataset
from finetune_api.errors import DatasetInvalid
from finetune_trainer.data.arrow_file import ArrowWriter
from finetune_trainer.data.cache import Cache
from finetune_trainer.data.encoder import Encoder
from finetune_trainer.data.fingerprint import digest
from finetune_trainer.data.prepared import PreparedData, PreparedSplit
from finetune_trainer.data.preprocessing import find_preprocessor
from finetune_trainer.data.recipe import Recipe, datasets_by_split
from finetune_trainer.data.rowstream import encoded_rows
from finetune_trainer.data.source import Source, load_source
from finetune_trainer.data.source_files import DataFile, SourceFiles, find_files
from finetune_trainer.data.tally import SplitTally
from finetune_trainer.data.tokenizer import load_tokenizer
from finetune_trainer.data.user_code import user_modules

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Progress = Callable[[str, int, int | None], None]
"""Told the split, the rows done and the rows there are, at least once a second while rows are prepared."""


_PROGRESS_SECONDS = 0.5


def _silent(split: str, done: int, total: int | None) -> None:
    """Report nothing."""


def prepare(
    config: TrainingConfig, cache: Path, *, code_dir: Path | None = None, on_progress: Progress = _silent
) -> PreparedData:
    """Return the prepared data of a configuration, from the cache when what it depends on is unchanged.

    Raises DatasetInvalid, PreprocessingFailed, ModelUnavailable, ConfigInvalid or Retryable.
    """
    store = Cache(cache)
    recipe = Recipe.of(config, code_dir)
    data = _find_remembered(store, recipe) or _find_or_build(config, store, recipe, code_dir, on_progress)
    check_enough_rows(config, data)
    return data


def check_enough_rows(config: TrainingConfig, data: PreparedData) -> None:
    """Raise DatasetInvalid, with both numbers, when a split has no row or not one batch to train on."""
    for split in data.splits.values():
        drops = f" Dropped: {split.describe_drops()}." if split.dropped else ""
        if split.rows == 0:
            raise DatasetInvalid(
                f"{split.name}: 0 of {split.source_rows} rows are left.{drops}",
                hint="Raise max_seq_len, or correct the rows.",
            )
        batch = config.global_train_batch_size
        if split.name == "train" and config.train_loader.drop_last and split.rows < batch:
            raise DatasetInvalid(
                f"train: {split.rows} rows are fewer than one global batch of {batch}, and drop_last leaves a "
                f"short batch out.{drops}",
                hint="Lower global_train_batch_size, or set train_loader.drop_last: false.",
            )


def _find_remembered(store: Cache, recipe: Recipe) -> PreparedData | None:
    remembered = store.recall(recipe.key)
    try:
        files = {split: _files_from_json(entry) for split, entry in remembered["files"].items()}
        return store.find(_total(recipe.split_sha256(files, dated=remembered["rendered_chat"])))
    except (KeyError, TypeError, ValueError, OSError):
        return None


def _find_or_build(
    config: TrainingConfig, store: Cache, recipe: Recipe, code_dir: Path | None, on_progress: Progress
) -> PreparedData:
    files = {split: find_files(dataset) for split, dataset in datasets_by_split(config).items()}
    for dated in (False, True):
        data = store.find(_total(recipe.split_sha256(files, dated=dated)))
        if data is not None:
            _remember(store, recipe, files, rendered_chat=dated)
            return data
    with store.building() as directory:
        build = _Build(config, directory, code_dir, on_progress)
        splits = build.splits(files)
        # Loading may have put the tokenizer or the dataset into the hub cache: only now is the commit known.
        recipe = Recipe.of(config, code_dir)
        hashes = recipe.split_sha256(files, dated=build.rendered_chat)
        named = {name: replace(split, sha256=hashes[name]) for name, split in splits.items()}
        data = store.publish(PreparedData(directory, _total(hashes), named))
    _remember(store, recipe, files, rendered_chat=build.rendered_chat)
    return data


class _Build:
    """Writes the splits of one configuration into a directory."""

    def __init__(self, config: TrainingConfig, directory: Path, code_dir: Path | None, on_progress: Progress) -> None:
        self._config, self._directory, self._code_dir = config, directory, code_dir
        self._on_progress = on_progress
        self.rendered_chat = False

    def splits(self, files: Mapping[str, SourceFiles]) -> dict[str, PreparedSplit]:
        datasets = datasets_by_split(self._config)
        with TemporaryDirectory(dir=self._directory) as scratch:
            sources = {}
            for name, dataset in datasets.items():
                self._on_progress(name, 0, None)
                sources[name] = load_source(dataset, files[name], Path(scratch))
            tokenizer = load_tokenizer(self._config)
            with user_modules(self._code_dir):
                return {
                    name: self._split(number, name, datasets[name], source, tokenizer)
                    for number, (name, source) in enumerate(sources.items())
                }

    def _split(
        self,
        number: int,
        name: str,
        dataset: FinetuningDataset,
        source: Source,
        tokenizer: "PreTrainedTokenizerBase",
    ) -> PreparedSplit:
        preprocessor = find_preprocessor(dataset.preprocessing_fn, dataset.hf_name, self._code_dir)
        encoder = Encoder(tokenizer, dataset)
        # A label may hold characters that a file name may not.
        path = self._directory / f"{number}-{re.sub(r'[^A-Za-z0-9._-]', '_', name)}.arrow"
        tally = SplitTally()
        ticker = _Ticker(name, len(source), self._on_progress)
        with ArrowWriter(path) as writer:
            for row in encoded_rows(source, preprocessor, encoder, ticker.tick):
                if tally.take(row, dataset.max_seq_len):
                    writer.write(row)
        ticker.report()
        self.rendered_chat |= encoder.rendered_chat
        return tally.split(name, path)


@dataclass
class _Ticker:
    """Passes progress on, at most twice a second."""

    split: str
    total: int
    on_progress: Progress
    done: int = 0
    next_report: float = 0.0

    def tick(self) -> None:
        self.done += 1
        if time.monotonic() >= self.next_report:
            self.report()

    def report(self) -> None:
        self.next_report = time.monotonic() + _PROGRESS_SECONDS
        self.on_progress(self.split, self.done, self.total)


def _total(hashes: Mapping[str, str]) -> str:
    return digest(hashes)


def _remember(store: Cache, recipe: Recipe, files: Mapping[str, SourceFiles], *, rendered_chat: bool) -> None:
    entries = {split: _files_to_json(found) for split, found in files.items()}
    store.remember(recipe.key, {"files": entries, "rendered_chat": rendered_chat})


def _files_to_json(found: SourceFiles) -> dict[str, Any]:
    files = [[file.split, str(file.path), file.url] for file in found.files]
    return {"format": found.format, "files": files, "is_local": found.is_local}


def _files_from_json(entry: Mapping[str, Any]) -> SourceFiles:
    files = tuple(DataFile(split, Path(path), url) for split, path, url in entry["files"])
    return SourceFiles(entry["format"], files, entry["is_local"])
