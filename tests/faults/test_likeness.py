import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from faults.likeness import difference


def _run(folder: Path, *, weights: dict[str, list[float]], losses: list[float]) -> Path:
    (folder / "model").mkdir(parents=True)
    tensors = {name: np.array(values, dtype=np.float32) for name, values in weights.items()}
    save_file(tensors, folder / "model" / "model.safetensors")
    (folder / "metrics.jsonl").write_text("".join(json.dumps({"loss": loss}) + "\n" for loss in losses))
    return folder


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    return _run(tmp_path / "reference", weights={"a": [1.0, 4.0], "b": [0.5]}, losses=[2.0, 1.0])


def test_equal_files_do_not_differ(tmp_path: Path, reference: Path) -> None:
    assert difference(_run(tmp_path / "o", weights={"a": [1.0, 4.0], "b": [0.5]}, losses=[]), reference) == 0


def test_a_weight_counts_relative_to_the_largest_of_the_model(tmp_path: Path, reference: Path) -> None:
    output = _run(tmp_path / "o", weights={"a": [1.0, 4.0], "b": [0.25]}, losses=[2.0, 1.0])
    assert difference(output, reference) == 0.0625


def test_a_loss_counts_relative_to_itself(tmp_path: Path, reference: Path) -> None:
    output = _run(tmp_path / "o", weights={"a": [1.0, 4.0], "b": [0.75]}, losses=[2.0, 1.5])
    assert difference(output, reference) == 0.5


@pytest.mark.parametrize(
    ("weights", "losses"),
    [
        ({"a": [1.0, 4.0], "c": [0.5]}, [2.0, 1.0]),
        ({"a": [1.0, 4.0], "b": [0.5, 0.5]}, [2.0, 1.0]),
        ({"a": [1.0, 4.0], "b": [0.75]}, [2.0]),
    ],
)
def test_other_tensors_or_steps_are_no_likeness(
    tmp_path: Path, reference: Path, weights: dict[str, list[float]], losses: list[float]
) -> None:
    assert difference(_run(tmp_path / "o", weights=weights, losses=losses), reference) == float("inf")


def test_without_a_model_there_is_no_difference_to_tell(tmp_path: Path, reference: Path) -> None:
    assert difference(tmp_path / "none", reference) is None
