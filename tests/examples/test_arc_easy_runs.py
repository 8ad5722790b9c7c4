"""Every example is trained; those that need a hub or a GPU only get another model path and size."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from support.shell import ROOT, finetune, run

pytestmark = pytest.mark.distributed

EXAMPLE = ROOT / "examples" / "arc-easy"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small GPT-2 with weights and the tokenizer of the example."""
    return _make_model(tmp_path_factory.mktemp("gpt2") / "model", "--weights")


@pytest.fixture(scope="module")
def architecture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same without weights."""
    return _make_model(tmp_path_factory.mktemp("architecture") / "model")


@pytest.fixture(scope="module")
def mpt(tmp_path_factory: pytest.TempPathFactory, gpt2: Path) -> Path:
    """A small MPT with the example's tokenizer."""
    from transformers import AutoTokenizer, MptConfig, MptForCausalLM

    directory = tmp_path_factory.mktemp("mpt")
    MptForCausalLM(MptConfig(d_model=32, n_heads=2, n_layers=2, vocab_size=1024, max_seq_len=2048)).save_pretrained(
        directory
    )
    AutoTokenizer.from_pretrained(gpt2).save_pretrained(directory)
    return directory


def _make_model(directory: Path, *options: str) -> Path:
    size = ["--width", "32", "--layers", "2"]
    command = [sys.executable, str(EXAMPLE / "make_model.py"), *options, *size, str(directory)]
    made = run(command, cwd=ROOT, cache=directory)
    assert made.returncode == 0, made.stdout
    return directory


def _steps(output: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if "event" not in line]


def _with_model(directory: Path) -> list[str]:
    return [f"model.pretrained_model_name_or_path={directory}", f"tokenizer.name={directory}"]


def _assert_complete(output: Path, steps: int) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    assert [line["step"] for line in _steps(output)] == list(range(1, steps + 1))
    assert "</html>" in (output / "report.html").read_text()
    assert json.loads((output / "run.json").read_text())["outcome"]["outcome"] == "Succeeded"
    AutoModelForCausalLM.from_pretrained(output / "model")
    AutoTokenizer.from_pretrained(output / "model")


def test_the_demo_learns_its_questions(tmp_path: Path, cache: Path, architecture: Path) -> None:
    # A narrower model than the demo's learns more slowly; what falls must still be plain to see.
    shorter = ["max_duration=5ep", f"variables.model={architecture}"]
    done = finetune("run", EXAMPLE / "demo.yaml", "--output", tmp_path / "out", *shorter, cache=cache)
    assert done.returncode == 0, done.stdout
    _assert_complete(tmp_path / "out", 60)
    losses = [line["loss"] for line in _steps(tmp_path / "out")]
    assert sum(losses[-12:]) < 0.85 * sum(losses[:12])


def test_the_cpu_guide_trains_one_epoch(tmp_path: Path, cache: Path, gpt2: Path) -> None:
    guide = EXAMPLE / "gpt2-arc-easy--cpu.yaml"
    done = finetune("run", guide, "--output", tmp_path / "out", *_with_model(gpt2), cache=cache)
    assert done.returncode == 0, done.stdout
    _assert_complete(tmp_path / "out", 12)
    rates = [line["lr"] for line in _steps(tmp_path / "out")]
    assert rates == pytest.approx([6e-4 * step / 100 for step in range(12)])


def test_the_gpu_guide_trains_sharded_over_two_ranks(tmp_path: Path, cache: Path, mpt: Path) -> None:
    guide = EXAMPLE / "mpt-7b-arc-easy--gpu.yaml"
    out = tmp_path / "out"
    done = finetune("run", guide, "--nproc", "2", "--output", out, *_with_model(mpt), cache=cache)
    assert done.returncode == 0, done.stdout
    _assert_complete(out, 12)
    assert json.loads((out / "run.json").read_text())["world_size"] == 2


def test_the_cpu_job_runs_with_its_claim_and_code_mounted(tmp_path: Path, cache: Path, gpt2: Path) -> None:
    mounts = ["--mount", f"arc-easy={EXAMPLE}", "--mount", f"arc-easy-code={EXAMPLE}"]
    manifest = EXAMPLE / "gpt2-job.yaml"
    done = finetune("run", manifest, *mounts, "--output", tmp_path / "out", *_with_model(gpt2), cache=cache)
    assert done.returncode == 0, done.stdout
    _assert_complete(tmp_path / "out", 12)


def test_the_gpu_job_runs_with_its_claim_and_code_mounted(tmp_path: Path, cache: Path, mpt: Path) -> None:
    mounts = ["--mount", f"arc-easy={EXAMPLE}", "--mount", f"arc-easy-code={EXAMPLE}"]
    size = ["--nproc", "2", "--output", str(tmp_path / "out")]
    done = finetune("run", EXAMPLE / "mpt-7b-job.yaml", *mounts, *size, *_with_model(mpt), cache=cache)
    assert done.returncode == 0, done.stdout
    _assert_complete(tmp_path / "out", 12)


def test_the_local_job_runs_as_it_is(tmp_path: Path, cache: Path, architecture: Path) -> None:
    mounts = ["--mount", f"arc-easy={EXAMPLE}", "--mount", f"arc-easy-code={EXAMPLE}"]
    mounts += ["--mount", f"arc-easy-model={architecture}"]
    manifest = EXAMPLE / "arc-easy-local-job.yaml"
    done = finetune("run", manifest, *mounts, "--output", tmp_path / "out", cache=cache)
    assert done.returncode == 0, done.stdout
    _assert_complete(tmp_path / "out", 24)
