"""Running the fetch as the program it is, against servers on this machine."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

from finetune_api.outcomes import Outcome

_NOT_THESE = ("HF_", "AWS_", "GOOGLE_", "SSL_", "STORAGE_", "REQUESTS_", "CURL_")


@dataclass(frozen=True)
class Fetched:
    """How a run of the program ended."""

    code: int
    output: str
    """What it printed."""
    words: Mapping[str, Any]
    """The termination message."""

    @property
    def outcome(self) -> Outcome:
        return Outcome(self.words["outcome"])


class Fetch(Protocol):
    def __call__(self, *arguments: str, **environment: str) -> Fetched: ...


@pytest.fixture
def to(tmp_path: Path) -> Path:
    """Where things are fetched to."""
    return tmp_path / "fetched"


@pytest.fixture
def fetch(tmp_path: Path, to: Path) -> Fetch:
    """Runs `python -m finetune_trainer.fetch` with these arguments and variables."""

    def run(*arguments: str, **environment: str) -> Fetched:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_THESE)}
        home = {"HOME": str(tmp_path), "HF_HOME": str(tmp_path / "huggingface"), "NO_PROXY": "*"}
        log = tmp_path / "termination-log"
        done = subprocess.run(
            [
                *(sys.executable, "-m", "finetune_trainer.fetch", "--to", str(to)),
                *("--termination-log", str(log), *arguments),
            ],
            env={**inherited, **home, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        words = json.loads(log.read_text(encoding="utf-8"))
        assert words["exitCode"] == done.returncode
        return Fetched(done.returncode, done.stdout + done.stderr, words)

    return run
