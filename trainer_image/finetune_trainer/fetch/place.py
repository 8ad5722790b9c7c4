"""Where what is fetched lies: a directory that appears when it is complete, and is not fetched twice."""

import json
import shutil
from pathlib import Path
from typing import Protocol

from finetune_api.errors import RunError
from finetune_trainer.directories import put_in_place
from finetune_trainer.fetch.patience import megabytes, size_of, telling_size, with_retries
from finetune_trainer.fetch.request import Request
from finetune_trainer.run_dir import write_atomically


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
    record.unlink(missing_ok=True)
    put_in_place(part, target)
    write_atomically(record, json.dumps(wanted))
    print(f"{request.shown}: fetched {megabytes(size_of(target))}", flush=True)


def _part_of(target: Path, version: str) -> Path:
    """The directory in which this version is put together; parts of other versions are of no use any more."""
    part = target.with_name(f".{target.name}.part-{version[:16]}")
    for other in target.parent.glob(f".{target.name}.part-*"):
        if other != part:
            shutil.rmtree(other, ignore_errors=True)
    part.mkdir(parents=True, exist_ok=True)
    return part


def _without_config(request: Request) -> RunError:
    return request.failure(
        "there is no config.json in it", "Name the directory of a model as save_pretrained writes it."
    )


def _read(record: Path) -> object:
    try:
        return json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
