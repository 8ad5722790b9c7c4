"""Keys of LLM Foundry files that this trainer ignores or refuses, part by part.

A key is *ignored* only when it cannot change weights, evaluation or what is saved. A key that could is
*refused* by name, unless its value is the one that changes nothing. A key that will be honoured in a later
version is refused as "not supported yet".
"""

from collections.abc import Mapping
from typing import Final

from finetune_api.config.keys_library import LOAD_DATASET_KEYS, TOKENIZER_KEYS
from finetune_api.config.keys_model import HF_MODEL, MPT_ATTENTION, MPT_MODEL
from finetune_api.config.refusal import KeyTable, OpenPart, later, no

_TRAINING: Final = KeyTable(
    ignored=frozenset(
        {
            "cuda_load_lazily",
            "cuda_load_lazy",
            "device_train_batch_size",
            "device_train_grad_accum",
            "expandable_segments",
            "flatten_metadata",
            "icl_seq_len",
            "icl_subset_num_batches",
            "log_config",
            "max_split_size_mb",
            "n_gpus",
            "profiler",
            "python_log_level",
            "save_filename",
            "save_latest_filename",
            "save_overwrite",
            "scheduled_gc",
            "spin_dataloaders",
        }
    ),
    refused={
        "accumulate_train_batch_on_tokens": no("the loss is always the mean over target tokens", True),
        "async_save": later("asynchronous saving", False),
        "code_paths": no("put the modules beside the file or on PYTHONPATH", []),
        "compile_config": later("torch.compile"),
        "eval_gauntlet": no("in-context-learning evaluation is not part of fine-tuning"),
        "eval_gauntlet_str": no("in-context-learning evaluation is not part of fine-tuning"),
        "icl_tasks": no("in-context-learning evaluation is not part of fine-tuning", []),
        "icl_tasks_str": no("in-context-learning evaluation is not part of fine-tuning"),
        "load_ignore_keys": no("a checkpoint is loaded whole, or with load_weights_only", []),
        "load_strict_model_weights": no("weights that do not match the model are never loaded", True),
        "only_composer_checkpoint": no("the finished model is always exported", False),
        "only_hf_checkpoint": no("resumable checkpoints are always written", False),
        "parallelism_config": no("write fsdp_config instead"),
        "parameters": no("this looks like a run file; keep what is under parameters as the training file"),
        "save_ignore_keys": no("a checkpoint is saved whole, or with save_weights_only", []),
        "tp_config": no("tensor parallelism is not part of this trainer"),
        "train_subset_num_batches": no("shorten max_duration instead", -1),
    },
    refused_values={
        "device_train_microbatch_size": {"auto": later("auto")},
    },
    moved={
        "data_dir": "train_loader.dataset.hf_kwargs.data_dir",
        "data_file": "train_loader.dataset.hf_kwargs.data_files",
        "data_files": "train_loader.dataset.hf_kwargs.data_files",
    },
)

_STREAMING: Final = "streaming datasets are not read; name files or a hub dataset with hf_name"

_LOADER: Final = KeyTable(
    ignored=frozenset({"replication"}),
    refused={
        "sampler": no("the order of rows is fixed by shuffle and shuffle_seed"),
    },
    refused_values={
        "name": {
            "text": no("the text loader is for pretraining; only finetuning is supported"),
            "denoising": no("encoder-decoder models are not trained here"),
            "text_denoising": no("encoder-decoder models are not trained here"),
            "contrastive_pairs": no("only finetuning is supported"),
            "pairwise_preference": no("DPO is not part of this trainer"),
        }
    },
    moved={
        "data_dir": "dataset.hf_kwargs.data_dir",
        "data_file": "dataset.hf_kwargs.data_files",
        "data_files": "dataset.hf_kwargs.data_files",
    },
)

_DATASET: Final = KeyTable(
    ignored=frozenset(
        {
            # Keys of the streaming loader, without effect on a dataset named by hf_name.
            "allow_unsafe_types",
            "batch_size",
            "batching_method",
            "cache_limit",
            "download_retry",
            "download_timeout",
            "keep_zip",
            "max_leftover_bins_to_keep",
            "num_canonical_nodes",
            "partition_algo",
            "predownload",
            "replication",
            "sampling_granularity",
            "sampling_method",
            "shuffle_algo",
            "shuffle_block_size",
            "tokenizer_name",
            "validate_hash",
        }
    ),
    refused={
        "decoder_only_format": no("encoder-decoder models are not trained here", True),
        "epoch_size": no(_STREAMING),
        "local": no(_STREAMING),
        "packing_ratio": later("packing", 1),
        "remote": no(_STREAMING),
        "streams": no(_STREAMING),
    },
    moved={
        "data_dir": "hf_kwargs.data_dir",
        "data_file": "hf_kwargs.data_files",
        "data_files": "hf_kwargs.data_files",
    },
)

_HF_KWARGS: Final = KeyTable(
    refused={
        "split": no("write it as split, beside hf_kwargs"),
        "streaming": no("rows are prepared once, before training", False),
    },
)

_FSDP: Final = KeyTable(
    ignored=frozenset(
        {
            "activation_checkpointing_reentrant",
            "activation_checkpointing_target",
            "auto_wrap",
            "backward_prefetch",
            "flatten_parameters",
            "forward_prefetch",
            "limit_all_gathers",
            "load_fsdp_monolith_rank0_only",
            "load_monolith_rank0_only",
            "min_params",
            "sharded_ckpt_prefix_dir",
            "state_dict_type",
            "sync_module_states",
            "use_orig_params",
            "verbose",
        }
    ),
    refused={
        "activation_cpu_offload": later("moving activations to the CPU", False),
        "cpu_offload": later("moving parameters to the CPU", False),
        "data_parallel_replicate_degree": later("HYBRID_SHARD", 1),
        "data_parallel_shard_degree": later("HYBRID_SHARD", -1),
        "device_mesh": later("HYBRID_SHARD"),
        "ignored_modules": no("every module is sharded"),
        "keep_low_precision_grads": no("gradients are kept in fp32", False),
        "load_planner": no("checkpoints have one layout"),
        "process_group": no("ranks form one group"),
        "save_planner": no("checkpoints have one layout"),
        "te_checkpoint_wrapper": no("Transformer Engine is not used", False),
        "te_shard_fp8_weight": no("Transformer Engine is not used", False),
    },
    refused_values={
        "sharding_strategy": {
            "HYBRID_SHARD": later("HYBRID_SHARD"),
            "_HYBRID_SHARD_ZERO2": later("HYBRID_SHARD"),
        },
    },
)

_CALLBACKS: Final = KeyTable(
    ignored=frozenset(
        {
            "activation_monitor",
            "env_logger",
            "eval_output_logging",
            "fdiff",
            "free_outputs",
            "generate_callback",
            "image_monitor",
            "loss_perp_v_len",
            "memory_snapshot",
            "nan_monitor",
            "oom_observer",
            "optimizer_monitor",
            "profiling",
            "run_timeout",
            "scheduled_gc",
            "system_metrics_monitor",
        }
    ),
    refused={
        "async_eval": no("evaluation runs in the training loop"),
        "curriculum_learning": no("one dataset is trained from start to end"),
        "export_for_inference": no("the finished model is exported as safetensors"),
        "global_lr_scaling": no("write the learning rate you want under optimizer"),
        "kill_loss_spike": no("only a loss that is not finite stops a run"),
        "layer_freezing": no("use optimizer.disable_grad"),
        "load_checkpoint": no("use load_path"),
        "mono_checkpoint_saver": no("checkpoints are sharded"),
    },
)

_LOGGERS: Final = KeyTable(
    ignored=frozenset({"file_logger", "in_memory_logger", "inmemory", "mosaicml", "progress_bar", "slack"}),
    refused={
        "cometml": no("use tensorboard, or read metrics.jsonl"),
        "mlflow": later("mlflow"),
        "neptune": no("use tensorboard, or read metrics.jsonl"),
        "remote_uploader_downloader": no("outputs are written to a directory"),
        "wandb": later("wandb"),
    },
)

_ALGORITHM: Final = "changes how the model trains; only gradient_clipping is supported"

_ALGORITHMS: Final = KeyTable(
    refused={
        name: no(_ALGORITHM) for name in ("alibi", "fused_layernorm", "gated_linear_units", "low_precision_layernorm")
    }
)

TABLES: Final[Mapping[str, KeyTable]] = {
    "training": _TRAINING,
    "hf_model": HF_MODEL,
    "mpt_model": MPT_MODEL,
    "mpt_attention": MPT_ATTENTION,
    "tokenizer": KeyTable(refused_values={"name": {"tiktoken": no("name a tokenizer that transformers can load")}}),
    "loader": _LOADER,
    "dataset": _DATASET,
    "hf_kwargs": _HF_KWARGS,
    "fsdp": _FSDP,
    "callbacks": _CALLBACKS,
    "speed_monitor": KeyTable(refused={"gpu_flops_available": later("model FLOPS utilisation")}),
    "memory_monitor": KeyTable(ignored=frozenset({"dist_aggregate_batch_interval", "memory_keys"})),
    "hf_checkpointer": KeyTable(
        ignored=frozenset({"final_register_only", "flatten_imports", "register_wait_seconds"}),
        refused={
            "mlflow_logging_config": later("mlflow"),
            "mlflow_registered_model_name": later("mlflow"),
        },
    ),
    "loggers": _LOGGERS,
    "algorithms": _ALGORITHMS,
    "gradient_clipping": KeyTable(refused_values={"clipping_type": {"adaptive": no("use norm or value")}}),
}

NO_KEYS: Final = KeyTable()


def table_of(part: str) -> KeyTable:
    """Return the table of `part`, empty when nothing of it is ignored or refused."""
    return TABLES.get(part, NO_KEYS)


OPEN_PARTS: Final[Mapping[tuple[str, str], OpenPart]] = {
    ("dataset", "hf_kwargs"): OpenPart("hf_kwargs", LOAD_DATASET_KEYS),
    ("tokenizer", "kwargs"): OpenPart("tokenizer_kwargs", TOKENIZER_KEYS),
}
"""Mappings that are passed on to a library; only a slip in a well-known key is a mistake there."""
