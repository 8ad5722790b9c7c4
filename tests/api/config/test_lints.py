import pytest

from finetune_api.config import lint, parse_training_config
from support.training_files import full_config, minimal_config

QUIET = ["save_folder=/out", "save_interval=1ba", "scheduler.t_warmup=1ba", "max_duration=100ba"]


def paths(*overrides: str, cpus: int | None = None, rows: int | None = None, batches: int | None = None) -> list[str]:
    config = parse_training_config(full_config(), overrides).config
    return [warning.path for warning in lint(config, cpus=cpus, longest_row=rows, total_batches=batches)]


def test_a_sound_configuration_has_no_warnings() -> None:
    assert paths(*QUIET, cpus=8, rows=400, batches=100) == []


def test_a_warmup_longer_than_the_run_is_mentioned() -> None:
    assert paths(*QUIET, "scheduler.t_warmup=101ba") == ["scheduler.t_warmup"]
    assert paths(*QUIET[:2], "max_duration=1ep", batches=12) == ["scheduler.t_warmup"]
    assert paths(*QUIET[:2], "max_duration=1ep") == []


def test_a_run_that_saves_nothing_on_the_way_is_mentioned() -> None:
    assert paths(*QUIET, "save_interval=101ba") == ["save_interval"]
    assert paths(*QUIET, "save_interval=2ep", "max_duration=1ep") == ["save_interval"]


def test_more_workers_than_cpus_are_mentioned() -> None:
    assert paths(*QUIET, cpus=2) == ["train_loader.num_workers"]


@pytest.mark.parametrize(("longest", "expected"), [(200, ["max_seq_len"]), (300, [])])
def test_a_length_far_above_the_rows_is_mentioned(longest: int, expected: list[str]) -> None:
    assert paths(*QUIET, rows=longest) == expected


def test_a_relative_data_directory_is_mentioned() -> None:
    name = "train_loader.dataset.hf_kwargs.data_dir"
    assert paths(*QUIET, f"{name}=data") == [name]


def test_the_defaults_are_linted_without_knowing_the_machine() -> None:
    config = parse_training_config(minimal_config(), ["save_interval=2ep", "max_duration=1ep"]).config
    assert [warning.path for warning in lint(config)] == ["save_interval"]
