"""Tokenized rows as an Arrow file: written in bounded memory, read through a memory map."""

from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from finetune_trainer.data.assembly import Example
from finetune_trainer.data.prepared import PreparedSplit
from finetune_trainer.data.rowstream import EncodedRow

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    Int64Array = np.ndarray[Any, np.dtype[np.int64]]

_ROWS_PER_BATCH = 4096


class ArrowWriter:
    """Writes rows in batches; use as a context manager, the file is complete when it ends."""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa

        self._schema = _schema()
        self._file = pa.OSFile(str(path), "wb")
        self._writer = pa.ipc.new_file(self._file, self._schema)
        self._waiting: list[EncodedRow] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        try:
            if kind is None:
                self._flush()
            self._writer.close()
        finally:
            self._file.close()

    def write(self, row: EncodedRow) -> None:
        """Add a row that has an example."""
        self._waiting.append(row)
        if len(self._waiting) == _ROWS_PER_BATCH:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        if not self._waiting:
            return
        rows, self._waiting = self._waiting, []
        examples = [row.example for row in rows if isinstance(row.example, Example)]
        columns: Sequence[Sequence[object]] = (
            [example.input_ids for example in examples],
            [example.labels for example in examples],
            [row.source_row for row in rows],
            [row.origin.file for row in rows],
            [row.origin.line for row in rows],
            [example.loss_tokens for example in examples],
        )
        arrays = [pa.array(values, field.type) for values, field in zip(columns, self._schema, strict=True)]
        self._writer.write_batch(pa.record_batch(arrays, schema=self._schema))


class TokenizedRow(NamedTuple):
    """A prepared row; `labels` is as long as `input_ids`, unshifted, -100 where masked."""

    input_ids: "Int64Array"
    labels: "Int64Array"
    source_row: int
    file: str
    line: int | None


class TokenizedDataset:
    """The rows of a prepared split, memory-mapped: opening reads no token, a row costs its own size."""

    def __init__(self, batches: Sequence["pa.RecordBatch"]) -> None:
        import numpy as np

        self._batches = batches
        self._starts = np.cumsum([0, *(batch.num_rows for batch in batches)]).tolist()

    @classmethod
    def open(cls, split: PreparedSplit) -> Self:
        """Map the split's file."""
        import pyarrow as pa

        reader = pa.ipc.open_file(pa.memory_map(str(split.path)))
        return cls([reader.get_batch(i) for i in range(reader.num_record_batches)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    @cached_property
    def lengths(self) -> "Int64Array":
        """Tokens of each row (int64)."""
        import numpy as np

        offsets = [batch.column(0).offsets.to_numpy() for batch in self._batches]
        return np.concatenate([np.empty(0, np.int64), *map(np.diff, offsets)]).astype(np.int64)

    @cached_property
    def targets(self) -> "Int64Array":
        """Target tokens of each row that have a position before them to predict them (int64)."""
        import numpy as np

        columns = [batch.column("loss_tokens").to_numpy() for batch in self._batches]
        return np.concatenate([np.empty(0, np.int64), *columns])

    def row(self, i: int) -> TokenizedRow:
        """Return row `i`, counted from 0 in the order of the source."""
        if not 0 <= i < len(self):
            raise IndexError(f"row {i} of {len(self)}")
        at = bisect_right(self._starts, i) - 1
        ids, labels, source_row, file, line, _ = (column[i - self._starts[at]] for column in self._batches[at])
        return TokenizedRow(_int64(ids), _int64(labels), source_row.as_py(), file.as_py(), line.as_py())


def _int64(values: "pa.ListScalar") -> "Int64Array":
    import numpy as np

    array: Int64Array = values.values.to_numpy().astype(np.int64)
    return array


def _schema() -> "pa.Schema":
    import pyarrow as pa

    return pa.schema(
        [
            ("input_ids", pa.list_(pa.int32())),
            ("labels", pa.list_(pa.int32())),
            ("source_row", pa.int64()),
            ("file", pa.string()),
            ("line", pa.int64()),
            ("loss_tokens", pa.int64()),
        ]
    )
