"""Counts what became of a split's rows."""

import hashlib
from array import array
from dataclasses import dataclass, field, replace
from pathlib import Path

from finetune_trainer.data.assembly import DropReason
from finetune_trainer.data.prepared import Drop, PreparedSplit
from finetune_trainer.data.rowstream import EncodedRow


@dataclass
class SplitTally:
    """Running totals over the rows of one split."""

    source_rows: int = 0
    rows: int = 0
    tokens: int = 0
    loss_tokens: int = 0
    longest: int = 0
    max_token_id: int = -1
    truncated: int = 0
    dropped: dict[str, Drop] = field(default_factory=dict)
    _rows_digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    def take(self, row: EncodedRow, max_seq_len: int) -> bool:
        """Count a row; return whether it is kept."""
        self.source_rows += 1
        if isinstance(row.example, DropReason):
            self._drop(row, row.example.value)
            return False
        length = len(row.example.input_ids)
        self.rows += 1
        self.tokens += length
        self.loss_tokens += row.example.loss_tokens
        self.longest = max(self.longest, length)
        self.max_token_id = max(self.max_token_id, *row.example.input_ids)
        self.truncated += row.full_length > max_seq_len
        for values in (row.example.input_ids, row.example.labels):
            self._rows_digest.update(array("q", [length, *values]).tobytes())
        return True

    def split(self, name: str, path: Path) -> PreparedSplit:
        """Return the totals of a split whose rows were written to `path`; its hash is still to come."""
        return PreparedSplit(
            name=name,
            path=path,
            sha256="",
            rows_sha256=self._rows_digest.hexdigest(),
            rows=self.rows,
            tokens=self.tokens,
            loss_tokens=self.loss_tokens,
            longest=self.longest,
            max_token_id=self.max_token_id,
            truncated=self.truncated,
            source_rows=self.source_rows,
            size=path.stat().st_size,
            dropped=dict(self.dropped),
        )

    def _drop(self, row: EncodedRow, reason: str) -> None:
        first = Drop(0, row.origin.file, row.source_row, row.origin.line)
        seen = self.dropped.get(reason, first)
        self.dropped[reason] = replace(seen, count=seen.count + 1)
