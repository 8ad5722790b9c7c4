"""One trajectory, however a run is spread: losses and gradient norms agree to 1e-5 relative in fp32."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from finetune_api.config import parse_training_config
from finetune_trainer.data.pipeline import prepare
from finetune_trainer.run_dir import RunDir
from finetune_trainer.run_spec import RunSpec
from support.arc_runs import EXAMPLE, arc_config, python_with_ranks, step_lines
from support.models import tiny_gpt2
from support.ports import free_port

pytestmark = pytest.mark.distributed

SHARDED = "fsdp_config={sharding_strategy: FULL_SHARD, mixed_precision: PURE, activation_checkpointing: true}"
GRAD_OP = "fsdp_config.sharding_strategy=SHARD_GRAD_OP"
PADDED = "train_loader.dataset.allow_pad_trimming=false"
TRIMMED = "train_loader.dataset.allow_pad_trimming=true"
LEFT = "tokenizer.kwargs.padding_side=left"
ONE_RANK: Mapping[str, list[str]] = {
    "reference": [PADDED],
    "padding-free": [],
    "trimmed-left": [TRIMMED, LEFT, "device_train_microbatch_size=2"],
    "microbatch-1": ["device_train_microbatch_size=1"],
    "microbatch-3": ["device_train_microbatch_size=3"],
    "sharded": [SHARDED],
}
TWO_RANKS: Mapping[str, list[str]] = {
    "two-ranks": [],
    "two-ranks-microbatch-1": ["device_train_microbatch_size=1"],
    "two-ranks-ragged": ["device_train_microbatch_size=3", PADDED, LEFT],
    "two-ranks-sharded": [SHARDED, "device_train_microbatch_size=2"],
    "two-ranks-grad-op": [GRAD_OP, TRIMMED],
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    root = tmp_path_factory.mktemp("trajectory")
    model = tiny_gpt2(root / "tiny")
    for ranks, variants in ((1, ONE_RANK), (2, TWO_RANKS)):
        specs = [_spec(root, model, name, overrides) for name, overrides in variants.items()]
        (root / f"{ranks}.json").write_text(json.dumps([(free_port(), spec.model_dump(mode="json")) for spec in specs]))
        command = [*python_with_ranks(ranks, free_port()), "support.many_runs", str(root / f"{ranks}.json")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=550, check=False)
        assert done.returncode == 0, done.stderr[:6000]
    return {name: step_lines(root / name) for name in (*ONE_RANK, *TWO_RANKS)}


def _spec(root: Path, model: Path, name: str, overrides: list[str]) -> RunSpec:
    config = parse_training_config(arc_config(model), overrides).config
    file = root / f"{name}.config.json"
    file.write_text(json.dumps(config.resolved()))
    run_dir = RunDir(root / f"{name}.run")
    run_dir.create()
    data = prepare(config, root / "cache", code_dir=EXAMPLE)
    run_dir.write_prepared(data.directory, data.sha256)
    return RunSpec(config=file, output=root / name, run_dir=run_dir.path, cache=root / "cache", attempt=0, job_uid="u")


@pytest.mark.parametrize("name", [*list(ONE_RANK)[1:], *TWO_RANKS])
def test_losses_and_norms_do_not_depend_on_how_a_run_is_spread(
    name: str, results: dict[str, list[dict[str, Any]]]
) -> None:
    expected, actual = results["reference"], results[name]
    assert len(actual) == len(expected) > 5
    for key in ("step", "rows", "lr", "loss_tokens", "tokens"):
        assert [line[key] for line in actual] == [line[key] for line in expected]
    for key in ("loss", "grad_norm"):
        assert [line[key] for line in actual] == pytest.approx([line[key] for line in expected], rel=1e-5)


def test_only_the_padded_layout_computes_padding(results: dict[str, list[dict[str, Any]]]) -> None:
    assert all(line["positions"] == 8 * 128 for line in results["reference"])
    assert all(line["positions"] == line["tokens"] for line in results["padding-free"])
    assert all(line["positions"] == line["tokens"] for line in results["two-ranks-sharded"])
