"""Directories that appear whole."""

import shutil
from pathlib import Path


def put_in_place(draft: Path, destination: Path) -> None:
    """Give a finished directory its name; what bore it before is there until then, and gone afterwards."""
    replaced = destination.with_name(f".{destination.name}.replaced")
    shutil.rmtree(replaced, ignore_errors=True)
    if destination.exists():
        destination.rename(replaced)
    draft.rename(destination)
    shutil.rmtree(replaced, ignore_errors=True)
