"""What a node knows about itself before an attempt begins."""

import asyncio
import os
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from finetune_api.errors import RunError
from finetune_trainer.checkpoint.folder import FOLDER, checkpoint_folder
from finetune_trainer.checkpoint.manifest import FILE, is_checkpoint_name
from finetune_trainer.launcher.meeting.threads import in_thread

LOOK_SECONDS: Final = 20.0
"""How long a volume has to tell of itself; one that takes longer is out of reach."""
SHARED_MEMORY: Final = Path("/dev/shm")
_HOST_LETTERS: Final = 253
_SIZES: Final = ("shared_memory", "output_free", "save_free", "checkpoint")


@dataclass(frozen=True)
class NodeFacts:
    """One node's own account; sizes in bytes, None where the system does not tell."""

    host: str
    time: float
    """Seconds since the epoch, by this node's clock."""
    ranks: int = 1
    shared_memory: int | None = None
    """Size of /dev/shm."""
    output_free: int | None = None
    save_free: int | None = None
    """Free where `save_folder` says that checkpoints go; None where that is the output."""
    checkpoint: int | None = None
    """Size of the newest checkpoint."""

    @property
    def room(self) -> int | None:
        """What is free for checkpoints."""
        return self.output_free if self.save_free is None else self.save_free

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        return asdict(self)

    def after(self, seconds: float) -> "NodeFacts":
        """Return these facts with the clock as it is so many seconds later."""
        return replace(self, time=self.time + seconds)

    @classmethod
    def from_json(cls, told: object) -> "NodeFacts":
        """Read what another node tells of itself; raises ValueError when it is out of bounds."""
        record = told if isinstance(told, Mapping) else {}
        host, clock = record.get("host"), record.get("time")
        if not isinstance(host, str) or not isinstance(clock, int | float) or not 0 <= clock < 1e11:
            raise ValueError("not the facts of a node")
        sizes = {name: _size(record.get(name)) for name in _SIZES}
        return cls(printable(host), float(clock), _size(record.get("ranks")) or 1, **sizes)


def gather(output: Path, ranks: int, checkpoints: Path, *, measure: bool = True) -> NodeFacts:
    """Look at this node, and unless told otherwise measure a checkpoint; a slow volume may hold it up."""
    return NodeFacts(
        host=socket.gethostname(),
        time=time.time(),
        ranks=ranks,
        shared_memory=_volume(SHARED_MEMORY, free=False),
        output_free=_volume(output, free=True),
        save_free=_volume(checkpoints, free=True) if checkpoints != output / FOLDER else None,
        checkpoint=newest_checkpoint_bytes(checkpoints) if measure else None,
    )


def checkpoints_of(spec: Path, output: Path) -> Path:
    """Return where the checkpoints go of the run that the file `spec` describes."""
    from finetune_api.config import load_training_config
    from finetune_trainer.run_spec import RunSpec

    try:
        return checkpoint_folder(output, load_training_config(RunSpec.load(spec).config).config)
    except (RunError, OSError, ValueError):  # a faulty configuration is for the ranks to tell
        return output / FOLDER


async def look(gather: Callable[[], NodeFacts]) -> NodeFacts:
    """Return the facts without holding up the meeting; raises TimeoutError when the volume does not answer."""
    async with asyncio.timeout(LOOK_SECONDS):
        return await in_thread(gather)


def newest_checkpoint_bytes(folder: Path) -> int | None:
    """Return the size of the checkpoint whose manifest was written last, or None without one."""
    try:
        found = [path for path in folder.glob(f"*/{FILE}") if is_checkpoint_name(path.parent.name)]
        manifests = [(path.stat().st_mtime, path.parent) for path in found]
        files = max(manifests)[1].rglob("*") if manifests else ()
        return sum(path.stat().st_size for path in files if path.is_file()) or None
    except OSError:  # rotated away meanwhile
        return None


def printable(text: str) -> str:
    """Return a host name as it may be shown, whatever was sent for one."""
    return "".join(letter if letter.isascii() and letter.isprintable() else "?" for letter in text[:_HOST_LETTERS])


def _volume(path: Path, *, free: bool) -> int | None:
    try:
        told = os.statvfs(path)
    except OSError:
        return None
    # Object stores behind a file system claim to be of no size at all.
    return (told.f_bavail if free else told.f_blocks) * told.f_frsize if told.f_blocks else None


def _size(value: object) -> int | None:
    sound = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63
    return int(value) if sound else None  # type: ignore[call-overload]
