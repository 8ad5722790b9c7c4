"""Rows of the failure table that need a real training, though no cluster: two launchers of `finetune run`."""

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from faults import machine
from faults.case import SAVED_EVERY, STEPS, Case
from faults.cases import CASES, SEED
from faults.judge import of_attempt
from faults.record import Record, expect
from support.arc_runs import ArcRun, wait_for
from support.shell import quiet_environment

pytestmark = pytest.mark.distributed

_BY_NAME: Final = {case.name: case for case in CASES}
_IMAGE: Final = Path(__file__).with_name("image")


@pytest.fixture(scope="module")
def arc(tmp_path_factory: pytest.TempPathFactory) -> ArcRun:
    root = tmp_path_factory.mktemp("faults")
    return ArcRun.create(root, max_duration=f"{STEPS}ba", save_interval=f"{SAVED_EVERY}ba")


@pytest.mark.parametrize("name", ["exception", "nan", "read-only"])
def test_the_cause_is_named_as_it_was_written_down_before(name: str, arc: ArcRun) -> None:
    case, output = _BY_NAME[name], arc.root / name
    process = _start(arc, case, output)
    try:
        wait_for((output / "strike" / "reached").exists, process)
        record = _written(case, output)
        (output / "strike" / "go").touch()
        assert process.wait(300) == record.exit_code
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(300)
    assert of_attempt(record, machine.found(case, _pods(case, output))) == ()


def _start(arc: ArcRun, case: Case, output: Path) -> "subprocess.Popen[str]":
    rank, step = case.drawn(SEED)
    order = {"rank": rank, "point": case.when.point, "step": step, "do": case.inside}
    environment = quiet_environment(arc.root / "cache")
    paths = filter(None, (str(_IMAGE), os.environ.get("PYTHONPATH")))
    environment |= {"FAULT": json.dumps(order), "PYTHONPATH": os.pathsep.join(paths)}
    with output.with_suffix(".log").open("w") as log:
        command = [*arc.command, "--output", str(output), "--nodes", "2"]
        return subprocess.Popen(command, cwd=arc.root, env=environment, stdout=log, stderr=log, text=True)


def _written(case: Case, output: Path) -> Record:
    reached: dict[str, Any] = json.loads((output / "strike" / "reached").read_text(encoding="utf-8"))
    file = output.with_suffix(".expected.json")
    expect(case, SEED, machine.target(case, reached["rank"], reached["step"])).write(file)
    return Record.read(file)


def _pods(case: Case, output: Path) -> list[machine.Body]:
    """Return the pods as they would be seen, from the last words of the launchers."""
    bodies = []
    for pod in range(case.shape.nodes):
        (words,) = output.glob(f"logs/attempt-0/node-{pod}/termination.json")
        code = json.loads(words.read_text(encoding="utf-8"))["exitCode"]
        bodies.append(machine.ended_pod(case, pod, machine.End(code, words.stat().st_mtime), words))
    return bodies
