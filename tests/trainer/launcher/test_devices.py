from pathlib import Path

import pytest

from finetune_trainer.launcher.devices import available_cpus, visible_gpus


@pytest.mark.parametrize(("text", "cpus"), [("100000 100000", 1), ("50000 100000", 1)])
def test_the_containers_quota_bounds_the_cpus(tmp_path: Path, text: str, cpus: int) -> None:
    path = tmp_path / "cpu.max"
    path.write_text(text, encoding="ascii")
    assert available_cpus(path) == cpus


@pytest.mark.parametrize("text", ["max 100000", "", "nonsense"])
def test_without_a_quota_the_machine_counts(tmp_path: Path, text: str) -> None:
    path = tmp_path / "cpu.max"
    path.write_text(text, encoding="ascii")
    assert available_cpus(path) == available_cpus(tmp_path / "missing") >= 1


@pytest.mark.parametrize(("chosen", "count"), [("", 0), ("0", 1), ("0,2", 2), ("-1", 0), ("GPU-ab,GPU-cd", 2)])
def test_a_choice_of_devices_is_counted(tmp_path: Path, chosen: str, count: int) -> None:
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": chosen}, tmp_path) == count


def test_without_a_choice_the_devices_are_counted(tmp_path: Path) -> None:
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    assert visible_gpus({}, tmp_path) == 2
