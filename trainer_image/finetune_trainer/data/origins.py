"""Where each row of a split comes from: its file, and its line where the format has lines."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

from finetune_trainer.data.scan_json import Lines


class Origin(NamedTuple):
    """A row's source; `line` is 1-based, None where the format has no lines."""

    file: str
    line: int | None

    def __str__(self) -> str:
        return self.file if self.line is None else f"{self.file}, line {self.line}"


@dataclass(frozen=True, slots=True)
class Piece:
    """Consecutive records of one file."""

    file: str
    rows: int
    lines: Lines | None = None
    """The line of each record, as long as `rows`."""

    def cut(self, start: int, stop: int) -> "Piece":
        """Return records `start` to `stop` of this piece."""
        return Piece(self.file, stop - start, self.lines[start:stop] if self.lines is not None else None)


class Origins:
    """Maps row indices to origins; knows as much as the scan of the files found out."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self._pieces = tuple(pieces)
        self._ends = list(accumulate(piece.rows for piece in pieces))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, row: int) -> Origin:
        at = bisect_right(self._ends, row)
        piece = self._pieces[at]
        line = None if piece.lines is None else piece.lines[row - self._ends[at] + piece.rows]
        return Origin(piece.file, line)

    def describe(self, row: int) -> str:
        """Return a row's place in words, as errors name it; rows count from 0."""
        return f"row {row} ({self[row]})"

    def select(self, ranges: Iterable[tuple[int, int]]) -> "Origins":
        """Return the origins of the rows in `ranges` (start, stop), in that order."""
        return Origins([piece for start, stop in ranges for piece in self._between(start, stop)])

    def _between(self, start: int, stop: int) -> Iterable[Piece]:
        begin = 0
        for piece, end in zip(self._pieces, self._ends, strict=True):
            first, last = max(start, begin), min(stop, end)
            if first < last:
                yield piece.cut(first - begin, last - begin)
            begin = end

    @classmethod
    def joined(cls, parts: Iterable["Origins"]) -> "Origins":
        """Return the origins of parts that follow each other."""
        return cls([piece for part in parts for piece in part._pieces])
