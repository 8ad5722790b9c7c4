"""Reads a CSV file before `datasets` does, to know each record's line and to find what pandas would hide.

pandas shifts the columns of a file whose records have one field too many, and types a column in pieces of
10,000 records: numbers in one piece and text in another break, or lose zeros ("007" becomes "7").
"""

import csv
import io
import sys
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from finetune_api.errors import DatasetInvalid
from finetune_trainer.data.files import open_data_file
from finetune_trainer.data.scan_json import Lines

_PIECE = 10_000
_UNDERSTOOD = frozenset({"sep", "delimiter", "quotechar", "encoding", "keep_default_na", "na_values"})


def understands_csv(options: Mapping[str, Any]) -> bool:
    """Tell whether a file read with these options has one header line and one record per row."""
    return set(options) <= _UNDERSTOOD and len(_separator(options)) == 1


def scan_csv(path: Path, name: str, options: Mapping[str, Any]) -> Lines:
    """Return the 1-based line on which each record begins; raise DatasetInvalid naming file and line."""
    lines: Lines = array("q")
    records = _records(path, name, options)
    _, header = next(records, (0, None))
    if header is None:
        return lines
    pieces = _Pieces(name, header)
    for line, record in records:
        if len(record) > len(header):
            raise DatasetInvalid(
                f"{name}, line {line}: {len(record)} fields, but the header has {len(header)}.",
                hint="Put quotes around a field that contains the separator.",
            )
        pieces.observe(line, record)
        lines.append(line)
    pieces.close()
    return lines


@dataclass
class _Pieces:
    """Whether each column is all numbers in each piece that pandas reads at once."""

    name: str
    header: list[str]
    rows: int = 0
    numbers: dict[int, int] = field(default_factory=dict)
    """Columns without text in this piece, with the line of their first number (0: none yet)."""
    first_text: dict[int, int] = field(default_factory=dict)
    first_numbers: dict[int, int] = field(default_factory=dict)

    def observe(self, line: int, record: list[str]) -> None:
        """Take a record into account; raise DatasetInvalid when a column changes its kind between pieces."""
        if self.rows % _PIECE == 0:
            self.close()
        self.rows += 1
        for column in list(self.numbers):
            if column >= len(record) or not record[column]:
                continue
            if _is_number(record[column]):
                self.numbers[column] = self.numbers[column] or line
            else:
                del self.numbers[column]
                self.first_text.setdefault(column, line)

    def close(self) -> None:
        """End the current piece and begin the next."""
        for column, line in self.numbers.items():
            if line:
                self.first_numbers.setdefault(column, line)
        self.numbers = dict.fromkeys(range(len(self.header)), 0)
        for column in sorted(self.first_numbers.keys() & self.first_text.keys()):
            raise DatasetInvalid(
                f"{self.name}: column {self.header[column]} is text on line {self.first_text[column]}, but "
                f"in the {_PIECE} records that are read with line {self.first_numbers[column]} it is all numbers.",
                hint="pandas would change those numbers; use JSON lines, where a string stays a string.",
            )


def _records(path: Path, name: str, options: Mapping[str, Any]) -> Iterator[tuple[int, list[str]]]:
    csv.field_size_limit(sys.maxsize)
    encoding = options.get("encoding") or "utf-8-sig"
    with open_data_file(path) as raw, io.TextIOWrapper(raw, encoding=encoding, newline="") as text:
        reader = csv.reader(text, delimiter=_separator(options), quotechar=options.get("quotechar") or '"')
        start = 1
        try:
            for record in reader:
                if record:
                    yield start, record
                start = reader.line_num + 1
        except UnicodeDecodeError:
            raise DatasetInvalid(
                f"{name}, near line {start}: not valid {encoding}.",
                hint="Save the file as UTF-8, or name its encoding in hf_kwargs.encoding.",
            ) from None


def _separator(options: Mapping[str, Any]) -> str:
    return str(options.get("sep") or options.get("delimiter") or ",")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
