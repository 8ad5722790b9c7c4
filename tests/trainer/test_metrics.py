"""The metrics file: each step once, whatever attempts a run took."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from finetune_trainer.fence import Fence
from finetune_trainer.metrics import MetricsFile
from support.power import Disk
from support.training import UNRIVALLED


def lines(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]


def attempt(output: Path, number: int, *, first: int, last: int) -> MetricsFile:
    """Write the steps after `first` up to `last`, as an attempt does that resumed from `first`."""
    file = MetricsFile(output, first_step=first, fence=Fence(number, lambda: None))
    for step in range(first + 1, last + 1):
        file.write({"attempt": number, "step": step})
    return file


def test_a_line_can_be_read_as_soon_as_it_is_written(tmp_path: Path) -> None:
    file = MetricsFile(tmp_path, first_step=0, fence=UNRIVALLED)
    assert lines(tmp_path) == []
    file.write({"step": 1, "loss": 2.5})
    assert lines(tmp_path) == [{"step": 1, "loss": 2.5}]
    file.close()


@pytest.mark.parametrize("secure", [MetricsFile.sync, MetricsFile.close])
def test_lines_outlive_a_loss_of_power_once_that_was_asked_for(
    secure: Callable[[MetricsFile], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk().install(monkeypatch)
    first = attempt(tmp_path, 0, first=0, last=3)
    secure(first)
    assert disk.lost(tmp_path) == []
    first.close()
    second = attempt(tmp_path, 1, first=2, last=2)
    assert disk.lost(tmp_path) == []  # what was kept of the first
    second.close()


def test_a_resumed_attempt_cuts_the_file_back_to_where_it_begins(tmp_path: Path) -> None:
    attempt(tmp_path, 0, first=0, last=7).close()
    attempt(tmp_path, 1, first=5, last=8).close()
    assert [(line["attempt"], line["step"]) for line in lines(tmp_path)] == [
        *((0, step) for step in range(1, 6)),
        *((1, step) for step in range(6, 9)),
    ]


def test_an_attempt_that_starts_over_keeps_nothing_of_the_others(tmp_path: Path) -> None:
    attempt(tmp_path, 0, first=0, last=3).close()
    attempt(tmp_path, 1, first=0, last=2).close()
    assert [line["attempt"] for line in lines(tmp_path)] == [1, 1]


def test_a_last_line_that_was_cut_off_is_dropped(tmp_path: Path) -> None:
    attempt(tmp_path, 0, first=0, last=3).close()
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"attempt": 0, "step": 3, "lo')
    attempt(tmp_path, 1, first=3, last=4).close()
    assert [line["step"] for line in lines(tmp_path)] == [1, 2, 3, 4]


def test_an_older_attempt_writes_to_a_file_that_nobody_sees(tmp_path: Path) -> None:
    old = attempt(tmp_path, 0, first=0, last=3)
    new = attempt(tmp_path, 1, first=2, last=3)
    old.write({"attempt": 0, "step": 4})
    new.write({"attempt": 1, "step": 4})
    assert [(line["attempt"], line["step"]) for line in lines(tmp_path)] == [(0, 1), (0, 2), (1, 3), (1, 4)]
    old.close()
    new.close()


def test_evaluations_are_kept_with_their_steps_and_can_be_asked_for(tmp_path: Path) -> None:
    first = MetricsFile(tmp_path, first_step=0, fence=UNRIVALLED)
    evaluations = [{"event": "eval", "label": "eval", "step": step, "loss": 1.0} for step in (0, 2, 4)]
    first.write({"step": 1})
    for line in evaluations:
        first.write(line)
    assert first.evaluations == evaluations
    first.close()
    second = MetricsFile(tmp_path, first_step=2, fence=UNRIVALLED)
    assert second.evaluations == evaluations[:2]
    second.close()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_becomes_null(value: float, tmp_path: Path) -> None:
    file = MetricsFile(tmp_path, first_step=0, fence=UNRIVALLED)
    file.write({"step": 1, "loss": value, "lr": 0.5})
    file.close()
    assert lines(tmp_path) == [{"step": 1, "loss": None, "lr": 0.5}]


def test_no_draft_is_left_beside_the_file(tmp_path: Path) -> None:
    attempt(tmp_path, 0, first=0, last=1).close()
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]
