"""One case while it is played: its job, what its files say, and what the API server told of it."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from faults.case import Case
from faults.site import CLAIM, Site
from finetune_api.names import training_pod_name
from finetune_api.status import JobStatus
from support.history import Happening, History

_POLL: Final = 0.02


@dataclass(frozen=True)
class Written:
    """How far metrics.jsonl was at a moment."""

    at: float
    file: int
    """Its inode: every attempt writes a file of its own."""
    step: int


@dataclass
class Scene:
    """What happens to the job of a case."""

    site: Site
    case: Case
    seed: int
    name: str
    job: dict[str, Any]
    output: Path
    history: History
    deadline: float
    claim: str = CLAIM
    uid: str = ""
    """Of the job that counts now."""
    since: int = 0
    """The revision of the store after which its status counts."""
    struck_at: float = 0.0
    metrics: list[Written] = field(default_factory=list)

    @property
    def rank(self) -> int:
        """The rank that is struck."""
        return self.case.drawn(self.seed)[0]

    def pod(self, rank: int | None = None) -> str:
        """Return the first attempt's pod in which a rank runs."""
        return training_pod_name(self.name, 0, (self.rank if rank is None else rank) // self.case.shape.processes)

    def apply(self) -> None:
        """Create the job."""
        self.site.space.apply(self.job)
        self.uid = self.site.space.get("finetunejob", self.name)["metadata"]["uid"]

    def bodies(self) -> Iterator[tuple[Happening, JobStatus]]:
        """Yield what was told of the job, oldest first."""
        for one in list(self.history.happenings):
            metadata = one.body["metadata"]
            if one.body["kind"] == "FinetuneJob" and metadata["uid"] == self.uid and one.at > self.since:
                yield one, JobStatus.of(one.body)

    def status(self) -> JobStatus:
        """Return what was told last."""
        found = [one.body for one in self.history.happenings if one.body["kind"] == "FinetuneJob"]
        own = [body for body in found if body["metadata"]["uid"] == self.uid]
        return JobStatus.of(own[-1]) if own else JobStatus()

    def pod_body(self, name: str) -> dict[str, Any] | None:
        """Return the last that was seen of a pod."""
        found = [
            one.body
            for one in self.history.happenings
            if one.body["kind"] == "Pod" and one.body["metadata"]["name"] == name
        ]
        return found[-1] if found else None

    def wait(self, holds: Callable[[], bool], seconds: float | None = None) -> bool:
        """Watch the files until something holds; False when it did not in time."""
        end = self.deadline if seconds is None else min(self.deadline, time.time() + seconds)
        while not holds():
            self._read_metrics()
            if time.time() > end:
                return False
            time.sleep(_POLL)
        self._read_metrics()
        return True

    def reached(self) -> dict[str, Any] | None:
        """Return what the struck rank says of its place, once it is there."""
        file = self.output / "strike" / "reached"
        return dict(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else None

    def go(self) -> None:
        """Let the struck rank go on."""
        if (self.output / "strike").exists():
            (self.output / "strike" / "go").touch()

    def checkpoints(self) -> list[Path]:
        """Return the complete checkpoints, oldest first."""
        found = [path.parent for path in (self.output / "checkpoints").glob("*/manifest.json")]
        return sorted(found, key=_step)

    def saved_step(self) -> int:
        """Return the step of the newest checkpoint."""
        return max(map(_step, self.checkpoints()), default=0)

    def _read_metrics(self) -> None:
        file = self.output / "metrics.jsonl"
        try:
            with file.open("rb") as lines:
                inode = file.stat().st_ino
                steps = [json.loads(line).get("step", 0) for line in lines if line.endswith(b"\n")]
        except (FileNotFoundError, ValueError):
            return
        step = max(steps, default=0)
        if not self.metrics or (self.metrics[-1].file, self.metrics[-1].step) != (inode, step):
            self.metrics.append(Written(time.time(), inode, step))


def _step(checkpoint: Path) -> int:
    return int(json.loads((checkpoint / "manifest.json").read_text(encoding="utf-8"))["step"])
