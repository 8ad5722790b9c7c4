"""Opening data files as `datasets` does: compressed ones are read through their compression."""

import bz2
import gzip
import lzma
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast

_OPENERS: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_OPAQUE = (".zip", ".zst", ".lz4", ".tar", ".7z", ".rar")


def open_data_file(path: Path) -> BinaryIO:
    """Open a data file for reading bytes, decompressed when its name says so."""
    return cast(BinaryIO, _OPENERS.get(path.suffix, Path.open)(path, "rb"))


def is_readable_here(path: Path) -> bool:
    """Tell whether the file can be scanned; archives are left to `datasets`."""
    return path.suffix not in _OPAQUE


def shown(path: Path) -> str:
    """Return the path as a user would write it: relative to the working directory when it lies inside."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def file_patterns(data_files: Any) -> Iterator[str]:
    """Return every path or pattern in `data_files`: a string, a list, a mapping by split, or a mix."""
    if isinstance(data_files, str):
        yield data_files
    elif isinstance(data_files, Mapping):
        # A list may hold {split, path} entries as well as paths.
        is_entry = set(data_files) == {"split", "path"}
        for part in [data_files["path"]] if is_entry else data_files.values():
            yield from file_patterns(part)
    elif isinstance(data_files, list | tuple):
        for part in data_files:
            yield from file_patterns(part)
