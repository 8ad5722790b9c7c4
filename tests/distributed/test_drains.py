"""A rank that is asked to leave takes the others along, wherever they are, and loses the step in flight at most."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from finetune_api.config import parse_training_config
from finetune_trainer.data.pipeline import prepare
from finetune_trainer.run_dir import RunDir
from finetune_trainer.run_spec import RunSpec
from support.arc_runs import EXAMPLE, arc_config, python_with_ranks, step_lines, weights
from support.models import tiny_gpt2
from support.ports import free_port

pytestmark = pytest.mark.distributed

SAVED = {"load": 0, "first step": 0, "step": 2, "save": 2, "evaluation": 2}
"""Where the strike falls, and the steps that were done by then."""
OVERRIDES = ["max_duration=4ba", "save_interval=2ba", "eval_interval=2ba", "eval_subset_num_batches=2"]


class Runs:
    """Runs of four steps on two ranks; the second rank is the one that is struck."""

    def __init__(self, root: Path) -> None:
        self.root = root
        model = tiny_gpt2(root / "tiny")
        loader = arc_config(model)["train_loader"]
        document = arc_config(model, eval_loader={**loader, "drop_last": False})
        self._config = parse_training_config(document, OVERRIDES).config
        (root / "config.json").write_text(json.dumps(self._config.resolved()))
        self._data = prepare(self._config, root / "cache", code_dir=EXAMPLE)
        self._plan: list[tuple[int, Any, Any]] = []

    def add(self, name: str, attempt: int, point: str | None) -> None:
        """Plan an attempt at the run of a name, struck at a point or not."""
        run_dir = RunDir(self.root / f"{name}.{attempt}.run")
        run_dir.create()
        run_dir.write_prepared(self._data.directory, self._data.sha256)
        spec = RunSpec(
            config=self.root / "config.json",
            output=self.root / name,
            run_dir=run_dir.path,
            cache=self.root / "cache",
            attempt=attempt,
            job_uid=name,
        )
        strike = {"rank": 1, "point": point, "how": "terminate"} if point else None
        self._plan.append((free_port(), spec.model_dump(mode="json"), strike))

    def go(self) -> list[tuple[str, int]]:
        """Train them all; return outcome and step of each, in the order in which they were planned."""
        file = self.root / "plan.json"
        file.write_text(json.dumps(self._plan))
        command = [*python_with_ranks(2, free_port()), "support.struck", str(file)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=550, check=False)
        assert done.returncode == 0, done.stderr[-6000:]
        return [(outcome, step) for outcome, step in json.loads(file.with_suffix(".ends").read_text())]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("drains")


@pytest.fixture(scope="module")
def ends(root: Path) -> dict[str, tuple[str, int]]:
    """How each attempt ended, by the name of its run and its number."""
    runs = Runs(root)
    planned: list[tuple[str, int, str | None]] = [("undisturbed", 0, None), ("export", 0, "export")]
    planned += [(point, attempt, point if attempt == 0 else None) for point in SAVED for attempt in (0, 1)]
    for entry in planned:
        runs.add(*entry)
    return {f"{name}.{attempt}": end for (name, attempt, _), end in zip(planned, runs.go(), strict=True)}


@pytest.mark.parametrize(("point", "saved"), SAVED.items())
def test_what_was_done_is_saved_and_the_run_goes_on_as_if_nothing_had_been(
    root: Path, ends: dict[str, tuple[str, int]], point: str, saved: int
) -> None:
    # Ranks that leave as soon as they have met have not looked yet at which step they would begin.
    assert ends[f"{point}.0"] == ("Preempted", None if point == "load" else saved)
    assert ends[f"{point}.1"] == ("Succeeded", 4)
    assert [line["attempt"] for line in step_lines(root / point)] == [0] * saved + [1] * (4 - saved)
    assert weights(root / point) == weights(root / "undisturbed")


def test_an_export_is_finished(root: Path, ends: dict[str, tuple[str, int]]) -> None:
    assert ends["export.0"] == ("Succeeded", 4)
    assert weights(root / "export") == weights(root / "undisturbed")


def test_the_evaluation_that_was_cut_off_is_done_once(root: Path, ends: dict[str, tuple[str, int]]) -> None:
    lines = [json.loads(line) for line in (root / "evaluation" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line.get("event") == "eval"] == [2, 4]


def test_how_long_saves_and_steps_took_is_told(root: Path, ends: dict[str, tuple[str, int]]) -> None:
    lines = (root / "undisturbed.0.run" / "progress.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    steps = [event.get("stepSeconds") for event in events if event["event"] == "step"]
    saves = [event["saveSeconds"] for event in events if event["event"] == "checkpoint"]
    assert steps[0] is None
    assert 0 < steps[1] <= steps[2] <= steps[3]
    assert 0 < saves[0] <= saves[1]
