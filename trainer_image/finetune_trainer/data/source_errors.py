"""Says in a user's words why `datasets` could not load: its own errors name neither file nor remedy."""

from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from glob import has_magic
from pathlib import Path
from typing import Any

from finetune_api.config.data import FinetuningDataset
from finetune_api.errors import DatasetInvalid, Retryable, RunError
from finetune_trainer.data.files import file_patterns, shown
from finetune_trainer.data.hub_errors import HubFailure, error_chain, hub_failure, is_local
from finetune_trainer.disk_errors import DISK_FULL

FORMATS = ("json", "csv", "parquet", "text", "arrow")


def check_paths(dataset: FinetuningDataset) -> None:
    """Raise DatasetInvalid for a directory or file that is named and is not there."""
    name, data_dir = dataset.hf_name, dataset.hf_kwargs.get("data_dir")
    data_files = dataset.hf_kwargs.get("data_files")
    if name in FORMATS:
        if data_dir is None and data_files is None:
            raise DatasetInvalid(
                f"hf_name: {name} says which format to read, but not which files.",
                hint="Name them in hf_kwargs.data_files, or their directory in hf_kwargs.data_dir.",
            )
        base = _directory(data_dir, "hf_kwargs.data_dir") if data_dir else Path()
    elif is_local(name):
        base = _directory(name, "hf_name")
        base = _directory(base / data_dir, "hf_kwargs.data_dir") if data_dir else base
    else:
        return
    for pattern in file_patterns(data_files):
        _check_file(base, pattern)


def unknown_split(dataset: FinetuningDataset, name: str, existing: list[str]) -> DatasetInvalid:
    """Return the error for a split that does not exist, naming those that do."""
    close = get_close_matches(name, existing, 1)
    meant = f"Did you mean {close[0]}?" if close else "Write one of these as split."
    return DatasetInvalid(
        f"{_described(dataset)}: no split {name!r}; there is {' and '.join(existing) or 'none'}.", hint=meant
    )


def no_match(dataset: FinetuningDataset) -> DatasetInvalid:
    """Return the error for patterns that no file matches."""
    return DatasetInvalid(
        f"{_described(dataset)}: no file matches, seen from {Path.cwd()}.",
        hint="Check hf_kwargs.data_files; a relative pattern starts at data_dir or the working directory.",
    )


@contextmanager
def explaining(dataset: FinetuningDataset) -> Iterator[None]:
    """Turn what `datasets` raises inside into DatasetInvalid, or Retryable for the network and the disk."""
    try:
        yield
    except RunError:
        raise
    except Exception as error:
        raise _explained(error, dataset) from error


def _explained(error: Exception, dataset: FinetuningDataset) -> RunError:
    what = _described(dataset)
    if any(isinstance(link, OSError) and link.errno in DISK_FULL for link in error_chain(error)):
        return Retryable(f"{what}: the disk is full.", hint="Free space, then run again.")
    if any(type(link).__name__ == "EmptyDatasetError" for link in error_chain(error)):
        hint = "Name the files in hf_kwargs.data_files."
        return DatasetInvalid(f"{what}: the directory holds no data files.", hint=hint)
    return _of_hub(error, what) or DatasetInvalid(
        f"{what}: {_first_line(_root(error))}",
        hint="Check hf_name, split and hf_kwargs; they are passed on to datasets.load_dataset.",
    )


def _of_hub(error: Exception, what: str) -> RunError | None:
    match hub_failure(error):
        case HubFailure.GATED:
            hint = "Accept its terms on the hub, and set HF_TOKEN to a token that may read it."
            return DatasetInvalid(f"{what}: access to this dataset is gated.", hint=hint)
        case HubFailure.OFFLINE:
            hint = "Name a local directory, or allow hub access to download it."
            return DatasetInvalid(f"{what}: not in the local cache, and hub access is off.", hint=hint)
        case HubFailure.MISSING:
            hint = "Check the name; a private dataset needs HF_TOKEN."
            return DatasetInvalid(f"{what}: neither a directory here nor on the hub.", hint=hint)
        case HubFailure.NETWORK:
            return Retryable(f"{what}: the hub cannot be reached.", hint="Check the network.")
    return None


def _directory(value: Any, key: str) -> Path:
    path = Path(str(value)).expanduser()
    if path.is_dir() or "://" in str(value):
        return path
    kind = "is a file, not a directory" if path.is_file() else "no such directory"
    relative = "" if path.is_absolute() else f" (seen from {Path.cwd()})"
    hint = "Name a file in hf_kwargs.data_files instead." if path.is_file() else _what_exists(path)
    raise DatasetInvalid(f"{key}: {value}: {kind}{relative}.", hint=hint)


def _check_file(base: Path, pattern: str) -> None:
    path = base / Path(pattern).expanduser()
    if "://" in pattern or has_magic(pattern) or path.is_file():
        return
    kind = "is a directory, not a file" if path.is_dir() else "no such file"
    hint = "Name it in hf_kwargs.data_dir instead." if path.is_dir() else _what_exists(path)
    raise DatasetInvalid(f"hf_kwargs.data_files: {shown(path.absolute())}: {kind}.", hint=hint)


def _what_exists(path: Path) -> str:
    parent = next((p for p in path.absolute().parents if p.is_dir()), Path("/"))
    names = sorted(entry.name for entry in parent.iterdir() if not entry.name.startswith("."))
    close = get_close_matches(path.name, names, 1)
    if close:
        return f"Did you mean {close[0]}?"
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return f"{parent} holds {', '.join(names[:8]) or 'nothing'}{more}."


def _described(dataset: FinetuningDataset) -> str:
    where = dataset.hf_kwargs.get("data_files") or dataset.hf_kwargs.get("data_dir")
    return f"{dataset.hf_name}: {where}" if isinstance(where, str) else dataset.hf_name


def _root(error: BaseException) -> BaseException:
    # The deepest cause is the one that knows; some have no text.
    return next((link for link in reversed(list(error_chain(error))) if str(link)), error)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
