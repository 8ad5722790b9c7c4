"""`run.json`: what was run, on what, how long each part took, and how it ended."""

import json
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from finetune_trainer.data.arrow_file import TokenizedDataset
from finetune_trainer.data.prepared import PreparedData
from finetune_trainer.length_histogram import length_histogram

FILE = "run.json"
WriteText = Callable[[Path, str], None]
PACKAGES = ("finetune-operator", "torch", "transformers", "datasets", "tokenizers", "safetensors")


class Stopwatch:
    """Wall-clock seconds by phase; phases may come back, their times add up."""

    def __init__(self, started: float, phase: str) -> None:
        self._started = started
        self._since = started
        self._phase = phase
        self._seconds: dict[str, float] = {}

    def switch(self, phase: str) -> None:
        """End the current phase and begin another."""
        now = time.monotonic()
        self._seconds[self._phase] = self._seconds.get(self._phase, 0.0) + now - self._since
        self._since, self._phase = now, phase

    def timings(self) -> dict[str, float]:
        """Return the seconds of every phase, and their total."""
        self.switch(self._phase)
        return {
            **{k: round(v, 3) for k, v in self._seconds.items()},
            "total": round(self._since - self._started, 3),
        }


def environment() -> dict[str, str]:
    """Return the versions of Python and of the packages that shape a result."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


def write_run_json(output: Path, content: dict[str, Any], write: WriteText) -> None:
    """Replace `run.json`."""
    write(output / FILE, json.dumps(content, indent=1, default=str) + "\n")


def describe_data(prepared: PreparedData, rows: Mapping[str, TokenizedDataset]) -> dict[str, Any]:
    """Return the content hash, and the counts and lengths of every split, as run.json shows them."""
    splits = {
        name: {**asdict(split), "path": split.path.name, "length_histogram": length_histogram(rows[name].lengths)}
        for name, split in prepared.splits.items()
    }
    return {"sha256": prepared.sha256, "splits": splits}
