"""Reads a JSON file before `datasets` does, to know each record's line and to find what it would hide.

`datasets` reports a broken line without its number, dies of StopIteration on an empty file, and casts
`3` among strings to "3" without a word.
"""

import json
from array import array
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from finetune_api.errors import DatasetInvalid
from finetune_trainer.data.files import open_data_file
from finetune_trainer.data.rows import kind_of

if TYPE_CHECKING:
    Lines = array[int]
else:  # array takes no type arguments at run time before Python 3.12
    Lines = array

_BOM = b"\xef\xbb\xbf"
_MAX_RECORD_BYTES = 16 << 20
_MESSAGE_COLUMNS = frozenset({"messages", "prompt", "response", "completion"})


@dataclass
class ColumnKinds:
    """The kind each column has, and where it was first seen; a second kind is an error."""

    seen: dict[str, tuple[str, str, int]] = field(default_factory=dict)

    def observe(self, record: dict[str, Any], file: str, line: int) -> None:
        """Take a record into account; raise DatasetInvalid when a column changes its kind."""
        for column, value in record.items():
            self._observe(column, value, file, line)
            if column in _MESSAGE_COLUMNS and isinstance(value, list):
                for message in value:
                    self._observe_message(column, message, file, line)

    def _observe_message(self, column: str, message: object, file: str, line: int) -> None:
        self._observe(f"{column}[]", message, file, line)
        if isinstance(message, dict):
            for key, value in message.items():
                self._observe(f"{column}[].{key}", value, file, line)

    def _observe(self, column: str, value: object, file: str, line: int) -> None:
        if value is None:
            return
        kind = kind_of(value)
        first_kind, first_file, first_line = self.seen.setdefault(column, (kind, file, line))
        if kind != first_kind:
            where = f"line {first_line}" if first_file == file else f"{first_file}, line {first_line}"
            raise DatasetInvalid(
                f"{file}, line {line}: column {column} is {kind} ({_shortened(value)}), but {first_kind} on {where}.",
                hint="Give the column one type in every record.",
            )


def scan_json(path: Path, name: str, kinds: ColumnKinds, encoding: str = "utf-8") -> Lines:
    """Return the 1-based line on which each record begins; raise DatasetInvalid naming file and line."""
    lines: Lines = array("q")
    with open_data_file(path) as handle:
        try:
            for line, record in _records(handle, encoding):
                if isinstance(record, dict):
                    kinds.observe(record, name, line)
                lines.append(line)
        except _Broken as broken:
            where = f"{name}, line {broken.line} (row {len(lines)} of the file)"
            raise DatasetInvalid(f"{where}: {broken}", hint=broken.hint) from None
    return lines


class _Broken(Exception):
    """What is wrong with the record that begins on `line`."""

    def __init__(self, line: int, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.line, self.hint = line, hint


def _records(handle: BinaryIO, encoding: str) -> Iterator[tuple[int, object]]:
    first = handle.readline().removeprefix(_BOM)
    if first.startswith(b"["):
        yield from _array_records(_decoded(first + handle.read(), encoding, 1))
        return
    lines = _Lines(handle, encoding, first)
    while text := lines.take():
        if not text.isspace():
            start = lines.line
            record = _record_from(text, lines)
            if not isinstance(record, dict):
                raise _Broken(start, f"a record must be an object, not {kind_of(record)}.")
            yield start, record


def _array_records(text: str) -> Iterator[tuple[int, object]]:
    decoder = json.JSONDecoder()
    line, last, at = 1, 0, _skip_space(text, 1)
    while text[at : at + 1] != "]":
        line, last = line + text.count("\n", last, at), at
        try:
            record, at = decoder.raw_decode(text, at)
        except ValueError as error:
            raise _not_json(line, error, text[last:]) from None
        yield line, record
        at = _skip_space(text, at)
        if text[at : at + 1] == ",":
            at = _skip_space(text, at + 1)
        elif text[at : at + 1] != "]":
            line += text.count("\n", last, at)
            raise _not_json(line, ValueError("Expecting ',' or ']' after a record"), text[at:])


class _Lines:
    """Lines of a file as text, counted, with a way to put back what was read too far."""

    def __init__(self, handle: BinaryIO, encoding: str, first: bytes) -> None:
        self._handle, self._encoding = handle, encoding
        self._waiting: deque[str] = deque([_decoded(first, encoding, 1)])
        self.line = 0

    def take(self) -> str:
        """Return the next line, empty at the end of the file."""
        self.line += 1
        if self._waiting:
            return self._waiting.popleft()
        return _decoded(self._handle.readline(), self._encoding, self.line)

    def put_back(self, texts: list[str]) -> None:
        """Return lines that were taken last, in their order."""
        self._waiting.extendleft(reversed(texts))
        self.line -= len(texts)


def _record_from(text: str, lines: _Lines) -> object:
    try:
        return json.loads(text.rstrip())
    except ValueError as error:
        start = lines.line
        found = _record_over_lines(text, lines)
        if found is None:
            raise _not_json(start, error, text) from None
        return found[0]


def _record_over_lines(text: str, lines: _Lines) -> tuple[object] | None:
    # A record may span lines, and a line may hold several records: `datasets` reads both.
    decoder = json.JSONDecoder()
    taken, size, ahead = [text], len(text), 1
    while True:
        joined = "".join(taken)
        try:
            record, end = decoder.raw_decode(joined, _skip_space(joined, 0))
        except ValueError:
            more = [line for line in (lines.take() for _ in range(ahead)) if line]
            lines.line -= ahead - len(more)
            taken, size, ahead = taken + more, size + sum(map(len, more)), ahead * 2
            if not more or size > _MAX_RECORD_BYTES:
                lines.put_back(taken[1:])
                return None
            continue
        _put_back_rest(joined, end, taken, lines)
        return (record,)


def _put_back_rest(joined: str, end: int, taken: list[str], lines: _Lines) -> None:
    last = joined.count("\n", 0, end)
    rest_of_line = joined[end:].partition("\n")[0]
    unread = taken[last + 1 :]
    # The rest of the last line keeps that line's number; when it is blank, the line is done.
    lines.put_back([rest_of_line + "\n", *unread] if rest_of_line.strip() else unread)


def _decoded(raw: bytes, encoding: str, line: int) -> str:
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        raise _Broken(
            line,
            f"not valid {encoding} (byte {raw[error.start]:#04x}).",
            hint="Save the file as UTF-8, or name its encoding in hf_kwargs.encoding.",
        ) from None


def _not_json(line: int, error: ValueError, text: str) -> _Broken:
    what = getattr(error, "msg", str(error))
    return _Broken(
        line,
        f"not JSON ({what}): {_shortened(text.strip())}",
        hint="Each line must be one JSON object. To read other files, name them in hf_kwargs.data_files.",
    )


def _shortened(value: object, limit: int = 60) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= limit else f"{text[:limit]}…"


def _skip_space(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at
