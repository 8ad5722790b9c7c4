"""How an attempt puts results in place so that one which comes too late puts none.

What is published lies beforehand in a draft that carries the attempt's number, and is renamed into place. A new attempt
claims the output first and removes the drafts of older ones then; an older one makes its draft first and looks at the
claims then. So one of the two sees the other, and the late rename finds nothing to rename.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from finetune_api.errors import Superseded
from finetune_trainer.directories import SWEPT, discard, put_in_place, withdraw

_DRAFT = re.compile(r"\.(?P<name>.+)\.attempt-(?P<attempt>\d+)\.draft")


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
        withdraw(draft, destination)
        return draft

    def publish(self, draft: Path, destination: Path) -> None:
        """Give a finished draft its name, durably, in the place of what bears it; raises Superseded when too late."""
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
    """Withdraw the drafts, of `name` or of all, of attempts before `attempt`; remove what nobody finished removing."""
    for path in folder.glob(".*"):
        found = _DRAFT.fullmatch(path.name)
        if found and int(found["attempt"]) < attempt and name in (None, found["name"]):
            withdraw(path, path.with_name(found["name"]))
        elif path.name.startswith(SWEPT):
            discard(path)
