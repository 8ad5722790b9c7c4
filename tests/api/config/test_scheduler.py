import pytest

from finetune_api.config import check_schedule, parse_training_config
from finetune_api.config.scheduler import schedule_length, schedule_unit
from finetune_api.durations import Duration
from finetune_api.errors import ConfigInvalid
from support.training_files import minimal_config

COMPATIBLE = [
    ("1ep", "100ba", "1dur"),
    ("1ep", "0.1dur", "1dur"),
    ("2ep", "1ep", "500ba"),
    ("2ep", "1ba", "2ep"),
    ("100ba", "10ba", "100ba"),
    ("100ba", "1ep", "1dur"),
    ("5000sp", "100sp", "1dur"),
    ("5000tok", "0.1dur", "9000tok"),
    ("1ep", "10tok", "90tok"),
]

INCOMPATIBLE = [("5000sp", "100ba", "1dur"), ("1ep", "100tok", "1dur"), ("100ba", "1sp", "200ba")]
TOO_SHORT = [("1ep", "0ba", "0.9dur"), ("2ep", "0ba", "1ep"), ("100ba", "0ba", "99ba"), ("100tok", "0tok", "99tok")]


def times(max_duration: str, t_warmup: str, t_max: str) -> list[str]:
    return [f"max_duration={max_duration}", f"scheduler.t_warmup={t_warmup}", f"scheduler.t_max={t_max}"]


@pytest.mark.parametrize("case", COMPATIBLE)
def test_times_that_share_a_unit_after_conversion_go_together(case: tuple[str, str, str]) -> None:
    assert parse_training_config(minimal_config(), times(*case))


@pytest.mark.parametrize("case", INCOMPATIBLE)
def test_times_in_different_units_are_a_mistake(case: tuple[str, str, str]) -> None:
    with pytest.raises(ConfigInvalid, match=r"scheduler.t_warmup: .* cannot be compared with t_max.*write both in"):
        parse_training_config(minimal_config(), times(*case))


@pytest.mark.parametrize("case", TOO_SHORT)
def test_a_schedule_that_ends_before_the_run_is_a_mistake(case: tuple[str, str, str]) -> None:
    with pytest.raises(ConfigInvalid, match=r"scheduler.t_max: .* ends before max_duration"):
        parse_training_config(minimal_config(), times(*case))


def test_epochs_and_batches_are_compared_once_the_data_is_known() -> None:
    config = parse_training_config(minimal_config(), times("2ep", "1ba", "20ba")).config
    check_schedule(config, batches_per_epoch=10)
    with pytest.raises(ConfigInvalid, match="ends before"):
        check_schedule(config, batches_per_epoch=11)


def test_a_warmup_longer_than_the_run_is_allowed() -> None:
    assert parse_training_config(minimal_config(), times("12ba", "100ba", "1dur"))


def test_the_inverse_root_needs_its_own_times() -> None:
    scheduler = "scheduler={name: inv_sqrt_with_warmup, t_warmup: 10ba, t_scale: 10ba, t_cooldown: %s}"
    assert parse_training_config(minimal_config(), [scheduler % "5ba"])
    with pytest.raises(ConfigInvalid, match=r"scheduler.t_cooldown: 5tok cannot be compared"):
        parse_training_config(minimal_config(), [scheduler % "5tok"])


def test_epochs_are_counted_as_batches() -> None:
    run = Duration(2, "ep")
    assert schedule_unit(Duration(1, "dur"), run) == schedule_unit(Duration(1, "ep"), run) == "ba"
    assert schedule_length(Duration(0.5, "dur"), run, 12) == 12
    assert schedule_length(Duration(1, "ep"), run, None) is None
    assert schedule_length(Duration(0.5, "dur"), Duration(100, "tok"), None) == 50
