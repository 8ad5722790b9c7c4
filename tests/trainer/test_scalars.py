"""Curves for TensorBoard, when they are asked for."""

import time
from pathlib import Path
from typing import Any

import pytest

from finetune_trainer.scalars import Scalars
from support.training import UNRIVALLED, training_config


def curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return {name: [(point.step, point.value) for point in events.Scalars(name)] for name in events.Tags()["scalars"]}


def draw(output: Path, loggers: dict[str, Any], first: int = 0) -> None:
    scalars = Scalars(training_config(Path("gpt2"), {"loggers": loggers}), output)
    scalars.open(first, UNRIVALLED)
    for step in (first + 1, first + 2):
        scalars.add(step, {"loss": 4.0 / step, "lr": 0.5})
    scalars.close()


@pytest.mark.parametrize("elsewhere", [False, True])
def test_points_become_curves_in_the_output_or_where_the_file_says(elsewhere: bool, tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere" if elsewhere else tmp_path / "tensorboard"
    draw(tmp_path, {"tensorboard": {"log_dir": str(folder)} if elsewhere else {}})
    assert curves(folder) == {"loss": [(1, 4.0), (2, 2.0)], "lr": [(1, 0.5), (2, 0.5)]}


def test_a_resumed_run_hides_the_points_that_it_takes_again(tmp_path: Path) -> None:
    draw(tmp_path, {"tensorboard": {}})
    time.sleep(1.1)  # event files are read in the order of their names, which hold whole seconds
    draw(tmp_path, {"tensorboard": {}}, first=1)
    assert [step for step, _ in curves(tmp_path / "tensorboard")["loss"]] == [1, 2, 3]


def test_without_the_logger_nothing_is_written(tmp_path: Path) -> None:
    draw(tmp_path, {})
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_ended_before_it_began_can_be_closed(tmp_path: Path) -> None:
    Scalars(training_config(Path("gpt2"), {"loggers": {"tensorboard": {}}}), tmp_path).close()
    assert list(tmp_path.iterdir()) == []
