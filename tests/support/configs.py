"""Small training configurations for tests, as plain values and as files."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def training(**changes: Any) -> dict[str, Any]:
    """A valid training configuration; `changes` replace top-level keys."""
    dataset = {"hf_name": "json", "hf_kwargs": {"data_dir": "data"}, "split": "train"}
    values: dict[str, Any] = {
        "model": {"name": "hf_causal_lm", "pretrained_model_name_or_path": "tiny", "pretrained": False},
        "tokenizer": {"name": "tiny"},
        "train_loader": {"name": "finetuning", "dataset": dataset},
        "optimizer": {"name": "decoupled_adamw", "lr": 1e-3},
        "scheduler": {"name": "constant_with_warmup", "t_warmup": "0ba"},
        "max_duration": "4ba",
        "max_seq_len": 64,
        "global_train_batch_size": 4,
        "precision": "fp32",
    }
    return {**values, **changes}


def manifest(config: Mapping[str, Any], **spec: Any) -> dict[str, Any]:
    """A FinetuneJob around a training configuration; `spec` adds or replaces fields of its spec."""
    claim = {"persistentVolumeClaim": {"claimName": "results"}}
    return {
        "apiVersion": "finetune.dev/v1alpha1",
        "kind": "FinetuneJob",
        "metadata": {"name": "arc-easy"},
        "spec": {"config": dict(config), "output": {"volume": claim}, **spec},
    }


def write_yaml(path: Path, *documents: Mapping[str, Any]) -> Path:
    """Write documents as one YAML file; JSON is YAML."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n---\n".join(json.dumps(document) for document in documents), encoding="utf-8")
    return path
