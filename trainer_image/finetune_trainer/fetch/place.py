"""Where what is fetched lies: a directory that appears when it is complete, and is not fetched twice."""

import json
import shutil
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from finetune_api.errors import RunError
from finetune_trainer.directories import put_in_place
from finetune_trainer.fetch.patience import megabytes, size_of, telling_size, with_retries
from finetune_trainer.fetch.request import Request
from finetune_trainer.run_dir import write_atomically

_UNFINISHED: Final = (".part", ".incomplete")
"""How files are called that are still being fetched: by us, and by the hub's library."""


class Origin(Protocol):
    """Where something is fetched from; both methods raise Retryable for what may pass, other RunErrors for the rest."""

    def version(self) -> str:
        """Return what changes when the content does."""

    def download(self, directory: Path) -> None:
        """Fetch everything into a directory that may hold a part of the same version already."""


def fetch_into(request: Request, origin: Origin, target: Path) -> None:
    """Make `target` the directory with the source's content; one that holds this version already is left alone."""
    wanted = {"source": request.identity, "version": with_retries(origin.version)}
    record = target.with_name(f".{target.name}.json")
    if target.is_dir() and _read(record) == wanted:
        print(f"{request.shown}: is here already", flush=True)
        return
    part = _part_of(target, wanted["version"])
    with telling_size(request.shown, part):
        with_retries(lambda: origin.download(part))
    if request.what == "model" and not (part / "config.json").is_file():
        raise _without_config(request)
    if target.is_dir() and _read(record) == wanted:  # another was faster, and it may be in use
        return shutil.rmtree(part, ignore_errors=True)
    record.unlink(missing_ok=True)
    put_in_place(part, target)
    write_atomically(record, json.dumps(wanted))
    print(f"{request.shown}: fetched {megabytes(size_of(target))}", flush=True)


def _part_of(target: Path, version: str) -> Path:
    """Make the directory in which this fetcher alone puts this version together, of what another has left of it.

    The other may be alive, on a node that answers nobody: what it still writes goes nowhere.
    """
    beginning = f".{target.name}.part-"
    own = target.with_name(f"{beginning}{version[:16]}-{uuid.uuid4().hex[:8]}")
    for other in target.parent.glob(f"{beginning}*"):
        if own.exists() or not other.name.startswith(f"{beginning}{version[:16]}-"):
            shutil.rmtree(other, ignore_errors=True)
        else:
            _take_over(other, own)
    own.mkdir(parents=True, exist_ok=True)
    return own


def _take_over(other: Path, own: Path) -> None:
    with suppress(FileNotFoundError):  # somebody was faster
        other.rename(own)
    for file in [path for path in own.rglob("*") if path.name.endswith(_UNFINISHED)]:
        # Renamed, the file is still open in the other's process; the copy is not.
        copy = file.with_name(f"{file.name}.copy")
        shutil.copyfile(file, copy)
        copy.replace(file)


def _without_config(request: Request) -> RunError:
    return request.failure(
        "there is no config.json in it", "Name the directory of a model as save_pretrained writes it."
    )


def _read(record: Path) -> object:
    try:
        return json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
