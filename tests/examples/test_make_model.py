import json
import sys
from pathlib import Path

import pytest

from support.shell import ROOT, run

MAKE_MODEL = ROOT / "examples" / "arc-easy" / "make_model.py"


def _make(*arguments: str | Path) -> str:
    command = [sys.executable, str(MAKE_MODEL), *map(str, arguments)]
    made = run(command, cwd=ROOT, cache=Path("unused"))
    assert made.returncode == 0, made.stdout
    return made.stdout


def test_an_architecture_and_a_tokenizer_fit_a_config_map(tmp_path: Path) -> None:
    _make(tmp_path / "model")
    files = {file.name: file.stat().st_size for file in (tmp_path / "model").iterdir()}
    assert set(files) == {"config.json", "tokenizer.json", "tokenizer_config.json"}
    assert sum(files.values()) < 2**20
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    vocabulary = json.loads((tmp_path / "model" / "tokenizer.json").read_text())["model"]["vocab"]
    assert config["vocab_size"] == len(vocabulary)
    assert vocabulary["<|endoftext|>"] == config["eos_token_id"]


@pytest.mark.distributed
def test_the_same_seed_makes_the_same_model(tmp_path: Path) -> None:
    for name in ("first", "second"):
        _make("--weights", "--width", "32", "--layers", "1", "--vocabulary", "300", tmp_path / name)
    first, second = (
        {file.name: file.read_bytes() for file in (tmp_path / name).iterdir()} for name in ("first", "second")
    )
    assert first == second
    assert "model.safetensors" in first


def test_a_model_that_is_there_is_left_alone(tmp_path: Path) -> None:
    _make(tmp_path / "model")
    (tmp_path / "model" / "config.json").write_text("mine")
    assert "there already" in _make(tmp_path / "model")
    assert (tmp_path / "model" / "config.json").read_text() == "mine"
