"""Training files for tests: a small valid one, and the text of one as people write them."""

from typing import Any


def minimal_config() -> dict[str, Any]:
    """Return a new configuration with the required keys only."""
    return {
        "model": {"name": "hf_causal_lm", "pretrained_model_name_or_path": "gpt2"},
        "tokenizer": {"name": "gpt2"},
        "train_loader": {"name": "finetuning", "dataset": {"hf_name": "json"}},
        "optimizer": {"name": "decoupled_adamw"},
        "scheduler": {"name": "cosine_with_warmup", "t_warmup": "100ba"},
        "max_duration": "1ep",
        "max_seq_len": 512,
        "global_train_batch_size": 8,
    }


def full_config() -> dict[str, Any]:
    """Return a new configuration that uses keys at every level."""
    return {
        **minimal_config(),
        "tokenizer": {"name": "gpt2", "kwargs": {"model_max_length": 512}},
        "train_loader": {
            "name": "finetuning",
            "dataset": {
                "hf_name": "json",
                "hf_kwargs": {"data_dir": "/data"},
                "preprocessing_fn": "preprocessing:multiple_choice",
                "split": "train",
                "shuffle": True,
                "max_seq_len": 512,
                "decoder_only_format": True,
                "target_prompts": "length>=32",
            },
            "drop_last": True,
            "num_workers": 8,
        },
        "eval_loader": [
            {
                "name": "finetuning",
                "label": "validation",
                "dataset": {"hf_name": "json", "split": "validation"},
            }
        ],
        "optimizer": {
            "name": "decoupled_adamw",
            "lr": 6e-4,
            "betas": [0.9, 0.95],
            "eps": 1e-8,
            "weight_decay": 0.0,
            "param_groups": [{"param_str_match": "bias", "weight_decay": 0}],
        },
        "scheduler": {"name": "cosine_with_warmup", "t_warmup": "100ba", "alpha_f": 0.1, "t_max": "1dur"},
        "algorithms": {"gradient_clipping": {"clipping_type": "norm", "clipping_threshold": 1.0}},
        "fsdp_config": {"sharding_strategy": "FULL_SHARD", "mixed_precision": "PURE"},
        "precision": "fp32",
        "callbacks": {
            "speed_monitor": {"window_size": 10},
            "early_stopper": {"monitor": "loss", "dataloader_label": "validation"},
        },
        "loggers": {"tensorboard": {"flush_interval": 10}},
    }
