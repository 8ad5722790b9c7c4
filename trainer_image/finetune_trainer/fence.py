"""How an attempt puts results in place so that one which comes too late puts none.

What is published lies beforehand in a draft that carries the attempt's number, and is renamed into place. A new attempt
claims the output first and removes the drafts of older ones then; an older one makes its draft first and looks at the
claims then. So one of the two sees the other, and the late rename finds nothing to rename.
"""

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from finetune_api.errors import Superseded
from finetune_trainer.directories import put_in_place

_DRAFT = re.compile(r"\.(?P<name>.+)\.attempt-(?P<attempt>\d+)\.draft(\.replaced)?")
_SWEPT = ".swept-"


@dataclass(frozen=True)
class Fence:
    """The right of attempt `attempt` to publish; `guard` raises Superseded once a newer one owns the output."""

    attempt: int
    guard: Callable[[], None]

    def draft(self, destination: Path) -> Path:
        """Return where to put together what `destination` is to become; older attempts cannot put theirs there."""
        destination.parent.mkdir(parents=True, exist_ok=True)
        sweep(destination.parent, self.attempt, destination.name)  # other jobs may have other names there
        draft = destination.with_name(f".{destination.name}.attempt-{self.attempt:04d}.draft")
        discard(draft)
        return draft

    def publish(self, draft: Path, destination: Path) -> None:
        """Give a finished draft its name, in the place of what bears it; raises Superseded when it comes too late."""
        try:
            self.guard()
        except Superseded:
            discard(draft)
            raise
        try:
            put_in_place(draft, destination)
        except FileNotFoundError:
            raise Superseded(
                f"a newer attempt has taken over; {destination} of attempt {self.attempt} is lost"
            ) from None

    def write_text(self, path: Path, text: str) -> None:
        """Replace a text file."""
        draft = self.draft(path)
        draft.write_text(text, encoding="utf-8")
        self.publish(draft, path)


def sweep(folder: Path, attempt: int, name: str | None = None) -> None:
    """Remove the drafts, of `name` or of all, of attempts before `attempt`, and what nobody could finish removing."""
    for path in folder.glob(".*"):
        found = _DRAFT.fullmatch(path.name)
        late = found and int(found["attempt"]) < attempt and name in (None, found["name"])
        if late or path.name.startswith(_SWEPT):
            discard(path)


def discard(path: Path) -> None:
    """Remove a file or directory at once for whoever would use it, and its content afterwards."""
    swept = path if path.name.startswith(_SWEPT) else path.with_name(f"{_SWEPT}{uuid4().hex}")
    try:
        path.rename(swept)
    except FileNotFoundError:
        return
    if swept.is_dir() and not swept.is_symlink():
        shutil.rmtree(swept, ignore_errors=True)
    else:
        swept.unlink(missing_ok=True)
