"""How far the results of two runs are from each other."""

import hashlib
import json
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

Tensors = dict[str, np.ndarray]


def difference(output: Path, reference: Path) -> float | None:
    """Return 0 when the models are equal byte for byte, else the largest difference of a loss or a weight; or None.

    Of a loss relative to itself; of a weight relative to the model's largest one, as gradients that are zero but for
    rounding (those of a key's bias) make some small weights a matter of chance.
    """
    ours, theirs = (sorted((folder / "model").glob("*.safetensors")) for folder in (output, reference))
    if not ours or [file.name for file in ours] != [file.name for file in theirs]:
        return None
    if [_digest(file) for file in ours] == [_digest(file) for file in theirs]:
        return 0.0
    losses = _losses(output), _losses(reference)
    return max(_apart(_all(ours), _all(theirs)), _relative(*losses))


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _all(files: list[Path]) -> Tensors:
    return {name: tensor for file in files for name, tensor in load_file(file).items()}


def _losses(output: Path) -> list[float]:
    lines = (output / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [line["loss"] for line in map(json.loads, lines) if line.get("event") != "eval"]


def _relative(ours: list[float], theirs: list[float]) -> float:
    if len(ours) != len(theirs):
        return float("inf")
    return max((abs(one - other) / abs(other) for one, other in zip(ours, theirs, strict=True)), default=0.0)


def _apart(ours: Tensors, theirs: Tensors) -> float:
    if {name: one.shape for name, one in ours.items()} != {name: other.shape for name, other in theirs.items()}:
        return float("inf")
    largest = max(float(np.abs(other).max()) for other in theirs.values())
    return max(float(np.abs(ours[name] - other).max()) for name, other in theirs.items()) / largest
