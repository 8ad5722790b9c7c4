"""Unknown, ignored and refused keys, as someone who writes a file meets them."""

from collections.abc import Iterator
from typing import Any

import pytest

from finetune_api.config import TrainingConfig, parse_training_config
from finetune_api.config.screen import places
from finetune_api.errors import ConfigInvalid
from support.training_files import full_config, minimal_config

KNOWN = {*places(TrainingConfig), *TrainingConfig.model_fields}


def problems(document: Any, *overrides: str) -> list[str]:
    with pytest.raises(ConfigInvalid) as caught:
        parse_training_config(document, overrides)
    return [str(problem) for problem in caught.value.problems]


def key_paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every key at every depth."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        if isinstance(key, str):
            yield (*path, key)
        yield from key_paths(item, (*path, key))


def dotted(path: tuple[Any, ...]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)[1:]


def misspellings(key: str) -> Iterator[str]:
    middle = len(key) // 2
    yield key[:middle] + key[middle] + key[middle:]  # a letter doubled
    yield key[:middle] + key[middle + 1 :]  # a letter lost
    yield key[:-2] + key[-1] + key[-2]  # two letters swapped


@pytest.mark.parametrize("path", list(key_paths(full_config())), ids=dotted)
def test_a_typo_at_any_depth_names_its_path_and_the_key_that_was_meant(path: tuple[Any, ...]) -> None:
    *parents, key = path
    for typo in misspellings(key):
        document = full_config()
        here: Any = document
        for step in parents:
            here = here[step]
        if typo not in {*here, *KNOWN} and len(typo) > 1:
            here[typo] = here.pop(key)
            assert problems(document) == [f"{dotted((*parents, typo))}: unknown key; did you mean {key}?"]


def test_data_file_is_answered_with_data_files() -> None:
    dataset = "train_loader.dataset"
    assert problems(minimal_config(), f"{dataset}.hf_kwargs.data_file=a.jsonl") == [
        f"{dataset}.hf_kwargs.data_file: unknown key; did you mean data_files?"
    ]
    assert problems(minimal_config(), f"{dataset}.data_file=a.jsonl") == [
        f"{dataset}.data_file: unknown key; did you mean hf_kwargs.data_files?"
    ]


def test_a_key_in_the_wrong_place_is_shown_its_place() -> None:
    assert problems(minimal_config(), "lr=0.1") == ["lr: unknown key; did you mean optimizer.lr?"]
    assert problems(minimal_config(), "train_loader.hf_kwargs={}") == [
        "train_loader.hf_kwargs: unknown key; did you mean train_loader.dataset.hf_kwargs?"
    ]


def test_a_key_like_no_other_lists_what_is_known_where_little_is() -> None:
    (problem,) = problems(minimal_config(), "algorithms.zebra=1")
    assert problem == "algorithms.zebra: unknown key; known here: gradient_clipping"


def test_options_of_libraries_pass_but_slips_in_known_ones_do_not() -> None:
    overrides = ["train_loader.dataset.hf_kwargs.delimiter=;", "tokenizer.kwargs.some_option=1"]
    config = parse_training_config(minimal_config(), overrides).config
    assert config.train_loader.dataset.hf_kwargs == {"delimiter": ";"}
    assert problems(minimal_config(), "tokenizer.kwargs.model_max_lenght=1") == [
        "tokenizer.kwargs.model_max_lenght: unknown key; did you mean model_max_length?"
    ]


IGNORED = [
    "python_log_level=debug",
    "scheduled_gc=true",
    "expandable_segments=true",
    "max_split_size_mb=512",
    "icl_seq_len=1024",
    "save_overwrite=true",
    "log_config=true",
    "n_gpus=8",
    "fsdp_config.limit_all_gathers=true",
    "fsdp_config.state_dict_type=sharded",
    "fsdp_config.activation_checkpointing_reentrant=false",
    "fsdp_config.sync_module_states=true",
    "fsdp_config.verbose=false",
    "callbacks.scheduled_gc.batch_interval=2000",
    "callbacks.memory_monitor.memory_keys=[]",
    "loggers.file_logger={}",
    "train_loader.dataset.num_canonical_nodes=8",
    "train_loader.dataset.tokenizer_name=gpt2",
    "model.use_flash_attention_2=true",
]


def test_keys_without_effect_are_accepted_and_listed_once() -> None:
    loaded = parse_training_config(minimal_config(), IGNORED)
    expected = {override.partition("=")[0] for override in IGNORED}
    expected = {"callbacks.scheduled_gc" if "scheduled_gc." in path else path for path in expected}
    assert sorted(loaded.ignored) == sorted(expected)


REFUSED = [
    "train_subset_num_batches=10",
    "load_ignore_keys=[a]",
    "save_ignore_keys=[a]",
    "load_strict_model_weights=false",
    "tp_config={strategy: ffn}",
    "icl_tasks=[{label: piqa}]",
    "eval_gauntlet=all",
    "only_hf_checkpoint=true",
    "accumulate_train_batch_on_tokens=false",
    "code_paths=[a.py]",
    "train_loader.name=text",
    "train_loader.dataset.remote=s3://x",
    "train_loader.dataset.decoder_only_format=false",
    "train_loader.dataset.hf_kwargs.streaming=true",
    "model.name=hf_t5",
    "model.load_in_8bit=true",
    "fsdp_config.keep_low_precision_grads=true",
    "callbacks.layer_freezing={}",
    "callbacks.kill_loss_spike={}",
    "algorithms.low_precision_layernorm={}",
    "algorithms.gradient_clipping={clipping_type: adaptive, clipping_threshold: 0.1}",
]


@pytest.mark.parametrize("override", REFUSED)
def test_a_key_that_would_change_the_run_is_refused_by_name(override: str) -> None:
    (problem,) = problems(minimal_config(), override)
    path = override.partition("=")[0]
    assert problem.startswith((f"{path}: ", f"{path}.clipping_type: adaptive"))
    assert "not supported; " in problem


HARMLESS = [
    "load_ignore_keys=[]",
    "load_strict_model_weights=true",
    "accumulate_train_batch_on_tokens=true",
    "icl_tasks=null",
    "only_hf_checkpoint=false",
    "compile_config=null",
    "train_loader.dataset.packing_ratio=null",
    "train_loader.dataset.packing_ratio=1.0",
    "train_loader.dataset.decoder_only_format=true",
    "fsdp_config.activation_cpu_offload=false",
    "fsdp_config.data_parallel_replicate_degree=1",
    "model.peft_config=null",
]


@pytest.mark.parametrize("override", HARMLESS)
def test_a_refused_key_passes_with_the_value_that_changes_nothing(override: str) -> None:
    assert parse_training_config(minimal_config(), [override]).ignored == ()


LATER = [
    "device_train_microbatch_size=auto",
    "compile_config={}",
    "model.peft_config={r: 8}",
    "train_loader.dataset.packing_ratio=auto",
    "train_loader.dataset.packing_ratio=2.5",
    "fsdp_config.sharding_strategy=HYBRID_SHARD",
    "fsdp_config.cpu_offload=true",
    "fsdp_config.activation_cpu_offload=true",
    "loggers.wandb={}",
    "loggers.mlflow=null",
    "callbacks.speed_monitor.gpu_flops_available=1.0",
    "callbacks.hf_checkpointer.mlflow_registered_model_name=x",
]


@pytest.mark.parametrize("override", LATER)
def test_what_comes_later_is_refused_as_not_supported_yet(override: str) -> None:
    if override == "loggers.mlflow=null":  # after the colon nothing: a logger with its defaults
        override = "loggers.mlflow={}"
    (problem,) = problems(minimal_config(), override)
    assert problem.startswith(f"{override.partition('=')[0]}: ")
    assert "not supported yet" in problem


def test_nothing_after_the_colon_gives_a_callback_its_defaults() -> None:
    config = parse_training_config(minimal_config(), ["callbacks.lr_monitor=null"]).config
    assert config.callbacks.lr_monitor is not None
    assert config.callbacks.speed_monitor is None
    assert parse_training_config(config.resolved()).config == config


def test_keys_that_are_not_text_are_unknown() -> None:
    assert any("True" in problem for problem in problems({**minimal_config(), True: 1}))
    assert any(problem.startswith("1: unknown key") for problem in problems({**minimal_config(), 1: 2}))


def test_a_key_that_only_a_sibling_has_is_said_to_belong_elsewhere() -> None:
    config = minimal_config() | {"optimizer": {"name": "decoupled_lionw", "eps": 1e-8}}
    known = "name, lr, betas, weight_decay, disable_grad, param_groups"
    assert problems(config) == [f"optimizer.eps: decoupled_lionw has no such key; known here: {known}"]
