"""Real ranks that are struck at a chosen point: asked to leave, stopped, or made to wait for ever.

As a module for torchrun or the launcher it is a worker with the strike of `$STRIKE` (JSON). With a JSON file on its
command line, torchrun's own, it trains several runs one after another in the same ranks: imports are paid once.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch.distributed.checkpoint.filesystem import FileSystemWriter

import finetune_trainer.run
import finetune_trainer.train.exporter
import finetune_trainer.train.loop
from finetune_api.errors import RunError
from finetune_trainer import worker
from finetune_trainer.data.arrow_file import TokenizedDataset
from finetune_trainer.heartbeat import Heartbeat
from finetune_trainer.run_dir import RunDir
from finetune_trainer.run_spec import RunSpec
from finetune_trainer.stopping import StopFlag

POINTS: dict[str, tuple[Any, str, int]] = {
    "load": (finetune_trainer.run, "load_prepared", 1),
    "first step": (finetune_trainer.train.loop, "train_step", 1),
    "step": (finetune_trainer.train.loop, "train_step", 3),
    "row": (TokenizedDataset, "row", 12),
    "save": (FileSystemWriter, "write_data", 1),
    "evaluation": (finetune_trainer.train.loop, "evaluate", 1),
    "export": (finetune_trainer.train.exporter, "export_model", 1),
}
"""Where a strike may fall: before the n-th call of a function."""


@dataclass
class Strike:
    """What befalls one rank, and where."""

    rank: int
    point: str
    how: str
    calls: int = 0
    struck: bool = False

    def note(self, point: str) -> None:
        """Count a call on its way; strike when it is the one."""
        if int(os.environ["RANK"]) != self.rank:
            return
        if self.struck and self.how == "terminate":
            os.kill(os.getpid(), signal.SIGTERM)  # once more, wherever the drain is by now
        if point == self.point:
            self.calls += 1
            if self.calls == POINTS[point][2]:
                self.struck = True
                _HOW[self.how]()


def wait_for_ever() -> None:
    """Block as a dead volume does."""
    reader, _writer = os.pipe()
    os.read(reader, 1)


_HOW: dict[str, Callable[[], None]] = {
    "terminate": lambda: os.kill(os.getpid(), signal.SIGTERM),
    "stop": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "block": wait_for_ever,
}
_armed: list[Strike] = []


def install() -> None:
    """Have every point tell the strike that is armed when it is passed."""
    for point, (owner, name, _) in POINTS.items():
        setattr(owner, name, _watched(point, getattr(owner, name)))


def _watched(point: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        for strike in _armed:
            strike.note(point)
        return function(*args, **kwargs)

    return call


def train_all(file: Path) -> None:
    """Train every run of a file: `[[port, specification, strike or null], …]`; rank 0 leaves how each ended."""
    os.environ["TORCHELASTIC_USE_AGENT_STORE"] = "False"
    ends = []
    for port, entry, strike in json.loads(file.read_text()):
        os.environ["MASTER_PORT"] = str(port)
        _armed[:] = [Strike(**strike)] if strike else []
        ends.append(_train(RunSpec.model_validate(entry)))
    if os.environ["RANK"] == "0":
        file.with_suffix(".ends").write_text(json.dumps(ends))


def _train(spec: RunSpec) -> tuple[str, int | None]:
    stop = StopFlag()
    stop.install()
    try:
        done = finetune_trainer.run.run(spec, RunDir(spec.run_dir), stop, Heartbeat(), time.monotonic())
    except RunError as error:
        return error.outcome.value, error.step
    return "Succeeded", done


if __name__ == "__main__":
    install()
    if "STRIKE" in os.environ:
        _armed[:] = [Strike(**json.loads(os.environ["STRIKE"]))]
        worker.main()
    else:
        train_all(Path(sys.argv[1]))
