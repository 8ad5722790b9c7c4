"""Two ranks export a sharded model together, whatever happens to one of them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM

from support.ports import free_port
from support.shell import ROOT, quiet_environment
from support.training import same, tiny_llama, weights

pytestmark = pytest.mark.distributed


def exported(output: Path, fault: str) -> list[str]:
    """Let two ranks export to `output`, and return how that ended for each."""
    told = {**quiet_environment(output / "cache"), "PYTHONPATH": str(ROOT / "tests")}
    told |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2"}
    command = [sys.executable, "-m", "support.sharded_export", str(output), fault]
    ranks = [
        subprocess.Popen(
            command,
            env={**told, "RANK": rank, "LOCAL_RANK": rank},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in "01"
    ]
    try:
        said = [rank.communicate(timeout=120) for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
            rank.wait()
    return [json.loads(out.splitlines()[-1])["end"] if out else err for out, err in said]


@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_cannot_write_keeps_nobody_waiting_and_every_rank_says_why(rank: int, tmp_path: Path) -> None:
    first, second = exported(tmp_path, f"full {rank}")
    assert first == second
    assert first.startswith(f"Retryable: model {tmp_path / 'model'} could not be exported: ")
    assert "File too large" in first
    assert not any(path.name.endswith(".draft") or path.name == "model" for path in tmp_path.iterdir())


@pytest.mark.parametrize("rank", [0, 1])
def test_the_model_is_looked_at_only_when_the_slowest_rank_has_written(rank: int, tmp_path: Path) -> None:
    assert exported(tmp_path, f"slow {rank}") == ["exported"] * 2
    model, report = AutoModelForCausalLM.from_pretrained(tmp_path / "model", output_loading_info=True)
    assert not report["missing_keys"]
    assert len(list((tmp_path / "model").glob("*.safetensors"))) > 3
    assert same(weights(model), weights(tiny_llama()))
