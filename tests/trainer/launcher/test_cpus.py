from pathlib import Path

import pytest

from finetune_trainer.launcher.cpus import available_cpus


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
