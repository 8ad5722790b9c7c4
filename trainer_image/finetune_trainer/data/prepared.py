"""What a preparation leaves: a directory with a manifest and one Arrow file per split."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

MANIFEST = "prepared.json"


@dataclass(frozen=True)
class Drop:
    """How many rows were left out for one reason, and where the first of them is."""

    count: int
    first_file: str
    first_row: int
    """0-based index in the source split."""
    first_line: int | None = None

    def describe(self) -> str:
        """Return the place of the first row in words."""
        line = "" if self.first_line is None else f", line {self.first_line}"
        return f"row {self.first_row} ({self.first_file}{line})"


@dataclass(frozen=True)
class PreparedSplit:
    """One split of the prepared data; token counts are after truncation."""

    name: str
    path: Path
    sha256: str
    """Of everything that determines this split alone."""
    rows_sha256: str
    """Of the token ids and labels of its rows, in order: what training sees of it."""
    rows: int
    tokens: int
    loss_tokens: int
    longest: int
    """Tokens of the longest row."""
    max_token_id: int
    """Highest token id, -1 without rows."""
    truncated: int
    """Rows that lost tokens to `max_seq_len`."""
    source_rows: int
    """Rows before drops."""
    size: int
    """Bytes of the file at `path`."""
    dropped: Mapping[str, Drop] = field(default_factory=dict)
    """By reason."""

    def describe_drops(self) -> str:
        """Return every reason with its count and first row, most frequent first."""
        drops = sorted(self.dropped.items(), key=lambda item: -item[1].count)
        return "; ".join(f"{drop.count} {reason} (first: {drop.describe()})" for reason, drop in drops)


@dataclass(frozen=True)
class PreparedData:
    """Prepared splits by name: `train`, and the label of each evaluation."""

    directory: Path
    sha256: str
    splits: Mapping[str, PreparedSplit]


def manifest_text(data: PreparedData) -> str:
    """Return the manifest as JSON; paths are relative to the directory, so that it may be moved."""
    splits = {name: asdict(split) | {"path": split.path.name} for name, split in data.splits.items()}
    return json.dumps({"sha256": data.sha256, "splits": splits}, indent=1)


def load_prepared(directory: Path) -> PreparedData:
    """Read the manifest of a prepared directory; raise FileNotFoundError when there is none."""
    document = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
    splits = {name: _split(entry, directory) for name, entry in document["splits"].items()}
    return PreparedData(directory, document["sha256"], splits)


def _split(entry: dict[str, Any], directory: Path) -> PreparedSplit:
    drops = {reason: Drop(**drop) for reason, drop in entry["dropped"].items()}
    return PreparedSplit(**entry | {"path": directory / entry["path"], "dropped": drops})
