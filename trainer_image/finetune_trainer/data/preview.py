"""Shows what a configuration makes of its rows, without a model: `finetune preview`."""

import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from finetune_api.config import TrainingConfig
from finetune_api.errors import ConfigInvalid, Problem
from finetune_trainer.data.assembly import IGNORED, DropReason
from finetune_trainer.data.encoder import Encoder
from finetune_trainer.data.prepared import Drop
from finetune_trainer.data.preprocessing import find_preprocessor
from finetune_trainer.data.recipe import datasets_by_split
from finetune_trainer.data.rowstream import EncodedRow, encoded_rows
from finetune_trainer.data.source import load_source
from finetune_trainer.data.source_files import find_files
from finetune_trainer.data.tally import SplitTally
from finetune_trainer.data.tokenizer import load_tokenizer
from finetune_trainer.data.user_code import user_modules


@dataclass(frozen=True)
class PreviewRow:
    """One record of the source: its tokens and targets, or why it is dropped."""

    row: int
    """0-based index in the source split."""
    file: str
    line: int | None
    """1-based line in the file, None where the format has none."""
    input_ids: tuple[int, ...] = ()
    labels: tuple[int, ...] = ()
    """Unshifted, -100 where masked."""
    loss_tokens: int = 0
    segments: tuple[tuple[str, bool], ...] = ()
    """The text in order, each piece with whether it is a target."""
    dropped: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the object that `finetune preview --json` prints."""
        place = {"row": self.row, "line": self.line}
        if self.dropped is not None:
            return place | {"dropped": self.dropped}
        return place | {
            "tokens": len(self.input_ids),
            "loss_tokens": self.loss_tokens,
            "input_ids": list(self.input_ids),
            "labels": list(self.labels),
        }


@dataclass(frozen=True)
class PreviewSummary:
    """All rows of the split, counted."""

    source_rows: int
    rows: int
    tokens: int
    loss_tokens: int
    truncated: int
    dropped: dict[str, Drop]
    lengths: tuple[int, ...]
    """Tokens of each row that is kept, in source order."""


class Preview:
    """Iterates over the first rows of a split; `summary` counts the others as well."""

    def __init__(self, stream: Iterator[EncodedRow], rows: int, encoder: Encoder, max_seq_len: int) -> None:
        self._stream, self._limit = stream, rows
        self._encoder, self._max_seq_len = encoder, max_seq_len
        self._tally, self._lengths = SplitTally(), list[int]()

    def __iter__(self) -> Iterator[PreviewRow]:
        while self._limit == 0 or self._tally.source_rows < self._limit:
            row = self._next()
            if row is None:
                return
            yield _preview_row(row, self._encoder)

    def summary(self) -> PreviewSummary:
        """Read the rest of the split and return its totals."""
        while self._next() is not None:
            pass
        tally = self._tally
        return PreviewSummary(
            source_rows=tally.source_rows,
            rows=tally.rows,
            tokens=tally.tokens,
            loss_tokens=tally.loss_tokens,
            truncated=tally.truncated,
            dropped=dict(tally.dropped),
            lengths=tuple(self._lengths),
        )

    def _next(self) -> EncodedRow | None:
        row = next(self._stream, None)
        if row is not None and self._tally.take(row, self._max_seq_len) and not isinstance(row.example, DropReason):
            self._lengths.append(len(row.example.input_ids))
        return row


def preview(config: TrainingConfig, split: str = "train", rows: int = 0, code_dir: Path | None = None) -> Preview:
    """Encode a split's records in source order, lazily; `rows` 0 shows all.

    `split` is `train` or the label of an evaluation. Raises what `prepare` raises, at the row in question.
    """
    datasets = datasets_by_split(config)
    if split not in datasets:
        raise ConfigInvalid.of(
            [Problem("", f"no split {split!r} in this configuration", f"it has {', '.join(datasets)}")]
        )
    dataset = datasets[split]
    encoder = Encoder(load_tokenizer(config), dataset)
    return Preview(_stream(config, split, encoder, code_dir), rows, encoder, dataset.max_seq_len)


def _stream(config: TrainingConfig, split: str, encoder: Encoder, code_dir: Path | None) -> Iterator[EncodedRow]:
    dataset = datasets_by_split(config)[split]
    found = find_files(dataset)
    # What the user's function prints would otherwise end up among the JSON objects.
    with TemporaryDirectory(prefix="finetune-preview-") as scratch, user_modules(code_dir):
        source = load_source(dataset, found, Path(scratch))
        with redirect_stdout(sys.stderr):
            preprocessor = find_preprocessor(dataset.preprocessing_fn, dataset.hf_name, code_dir)
        stream = encoded_rows(source, preprocessor, encoder)
        while True:
            with redirect_stdout(sys.stderr):
                row = next(stream, None)
            if row is None:
                return
            yield row


def _preview_row(row: EncodedRow, encoder: Encoder) -> PreviewRow:
    if isinstance(row.example, DropReason):
        return PreviewRow(row.source_row, row.origin.file, row.origin.line, dropped=row.example.value)
    input_ids, labels = row.example
    targets = (label != IGNORED for label in labels)
    runs = groupby(zip(input_ids, targets, strict=True), key=lambda pair: pair[1])
    return PreviewRow(
        row=row.source_row,
        file=row.origin.file,
        line=row.origin.line,
        input_ids=tuple(input_ids),
        labels=tuple(labels),
        loss_tokens=row.example.loss_tokens,
        segments=tuple((encoder.decode([i for i, _ in run]), is_target) for is_target, run in runs),
    )
