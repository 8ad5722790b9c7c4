from pathlib import Path
from typing import Any

import pytest

from finetune_api.config import TrainingConfig
from finetune_api.manifest import JobManifest, TrainingDocument, load_file
from support.shell import ROOT

EXAMPLE = ROOT / "examples" / "arc-easy"
FILES = sorted(EXAMPLE.glob("*.yaml"))
PAIRS = [("gpt2-arc-easy--cpu.yaml", "gpt2-job.yaml"), ("mpt-7b-arc-easy--gpu.yaml", "mpt-7b-job.yaml")]


def _config(name: str) -> TrainingConfig:
    return load_file(EXAMPLE / name).training_config().config


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_file_is_valid(file: Path) -> None:
    document = load_file(file)
    assert isinstance(document, JobManifest if file.stem.endswith("job") else TrainingDocument)
    document.training_config()


@pytest.mark.parametrize("name", ["gpt2-arc-easy--cpu.yaml", "mpt-7b-arc-easy--gpu.yaml"])
def test_both_guides_share_optimizer_schedule_and_batches(name: str) -> None:
    config = _config(name)
    optimizer = config.optimizer.model_dump()
    assert optimizer.pop("betas") == (0.9, 0.95)
    assert optimizer | {"name": "decoupled_adamw", "lr": 6e-4, "eps": 1e-8, "weight_decay": 0.0} == optimizer
    schedule = config.scheduler.model_dump()
    assert (schedule["name"], str(schedule["t_warmup"]), schedule["alpha_f"]) == (
        "cosine_with_warmup",
        "100ba",
        0.1,
    )
    clipping = config.algorithms.gradient_clipping
    assert clipping is not None
    assert (clipping.clipping_type, clipping.clipping_threshold) == ("norm", 1.0)
    loader = config.train_loader
    assert (loader.dataset.shuffle, loader.drop_last, loader.num_workers) == (True, True, 8)
    assert (str(config.max_duration), config.global_train_batch_size, config.seed) == ("1ep", 8, 17)


def test_the_cpu_guide_is_gpt2_in_full_precision() -> None:
    config = _config("gpt2-arc-easy--cpu.yaml")
    assert config.model.name == "hf_causal_lm"
    assert (config.model.pretrained_model_name_or_path, config.model.pretrained) == ("gpt2", True)
    assert (config.max_seq_len, config.train_loader.dataset.max_seq_len) == (512, 512)
    assert (config.precision, config.device_train_microbatch_size) == ("fp32", 8)
    assert config.fsdp_config is None


def test_the_gpu_guide_is_mpt_7b_sharded_in_bf16() -> None:
    config = _config("mpt-7b-arc-easy--gpu.yaml")
    assert config.model.name == "hf_causal_lm"
    assert config.model.pretrained_model_name_or_path == "mosaicml/mpt-7b"
    overrides: dict[str, Any] = {"attn_impl": "flash", "attn_uses_sequence_id": False}
    assert config.model.config_overrides == {"max_seq_len": 2048, "attn_config": overrides}
    assert (config.max_seq_len, config.precision, config.device_train_microbatch_size) == (
        2048,
        "amp_bf16",
        1,
    )
    sharding = config.fsdp_config
    assert sharding is not None
    assert (sharding.sharding_strategy, sharding.mixed_precision) == ("FULL_SHARD", "PURE")
    assert sharding.activation_checkpointing


@pytest.mark.parametrize(("guide", "job"), PAIRS)
def test_a_job_trains_as_its_guide_does(guide: str, job: str) -> None:
    assert _without_places(_config(job)) == _without_places(_config(guide))


def _without_places(config: TrainingConfig) -> dict[str, Any]:
    resolved = config.resolved()
    resolved.pop("run_name", None)
    for key in ("progress_bar", "log_to_console", "console_log_interval"):
        resolved.pop(key, None)
    resolved["train_loader"]["dataset"]["hf_kwargs"].pop("data_dir")
    return resolved


@pytest.mark.parametrize("file", [file for file in FILES if file.stem.endswith("job")], ids=lambda f: f.name)
def test_a_job_finds_data_model_and_code_where_they_are_mounted(file: Path) -> None:
    manifest = load_file(file)
    assert isinstance(manifest, JobManifest)
    spec = manifest.job.spec
    config = manifest.training_config().config
    assert spec.dataset is not None
    assert spec.code is not None
    assert config.train_loader.dataset.hf_kwargs["data_dir"] == spec.dataset.mount_path
    if spec.model is not None:
        assert config.tokenizer.name == spec.model.mount_path
