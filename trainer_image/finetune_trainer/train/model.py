"""The model of a run: found, given its overrides, checked against the data, and loaded with fp32 master weights."""

import difflib
from collections.abc import Mapping
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from transformers import AutoConfig, AutoModelForCausalLM, MptConfig, PreTrainedConfig, PreTrainedModel

from finetune_api.config import HFCausalLM, MPTCausalLM, TrainingConfig
from finetune_api.errors import ConfigInvalid, ModelUnavailable
from finetune_trainer.hub import explained_hub_errors


def load_model_config(config: TrainingConfig) -> PreTrainedConfig:
    """Return the architecture's configuration with `config_overrides` applied.

    Raises ModelUnavailable when it cannot be found or read, ConfigInvalid for an override it does not know.
    """
    if isinstance(config.model, MPTCausalLM):
        return _mpt_config(config.model, config.max_seq_len)
    with explained_hub_errors("model", config.model.pretrained_model_name_or_path):
        found = AutoConfig.from_pretrained(config.model.pretrained_model_name_or_path, **_source(config.model))
    _override(found, config.model.config_overrides, "model.config_overrides")
    return found


def check_fits(config: TrainingConfig, model_config: PreTrainedConfig, max_token_id: int) -> None:
    """Raise ConfigInvalid when the data has a token, or `max_seq_len` a position, that the model does not have."""
    text = model_config.get_text_config()
    if max_token_id >= text.vocab_size:
        raise ConfigInvalid(
            f"tokenizer.name: the prepared data holds token id {max_token_id}, but the model's vocabulary has "
            f"{text.vocab_size} entries",
            hint="Use the tokenizer that belongs to the model.",
        )
    positions = text.max_seq_len if isinstance(text, MptConfig) else getattr(text, "max_position_embeddings", None)
    for path, length in lengths_asked_for(config).items():
        if positions is not None and length > positions:
            raise ConfigInvalid(
                f"{path}: {length} is beyond the model's {positions} positions",
                hint=f"Set max_seq_len to at most {positions}.",
            )


def lengths_asked_for(config: TrainingConfig) -> dict[str, int]:
    """Return every `max_seq_len` of the configuration that rows are cut to, in tokens, by its path."""
    loaders = {"train_loader": config.train_loader}
    loaders |= {f"eval_loader ({label})": loader for label, loader in config.eval_loaders_by_label.items()}
    lengths = {f"{path}.dataset.max_seq_len": loader.dataset.max_seq_len for path, loader in loaders.items()}
    # Where the loaders repeat the top-level value, as they do by default, that is the one to name.
    return {"max_seq_len": config.max_seq_len} if set(lengths.values()) == {config.max_seq_len} else lengths


def load_model(config: TrainingConfig, model_config: PreTrainedConfig) -> PreTrainedModel:
    """Return the model on the CPU, its parameters in float32, pretrained or freshly initialised from `seed`.

    Raises ModelUnavailable when weights are missing, unreadable or of another architecture.
    """
    attention = _attention(config)
    if isinstance(config.model, MPTCausalLM) or not config.model.pretrained:
        return _fresh(config, model_config, attention)
    name = config.model.pretrained_model_name_or_path
    with explained_hub_errors("model", name):
        model, report = AutoModelForCausalLM.from_pretrained(
            name,
            config=model_config,
            dtype=torch.float32,
            use_safetensors=True,
            ignore_mismatched_sizes=True,  # the report names them, an error would not
            output_loading_info=True,
            **attention,
            **_source(config.model),
        )
    _require_all_weights(name, report)
    return model


def export_dtype(config: TrainingConfig, model_config: PreTrainedConfig) -> torch.dtype:
    """Return the dtype of the checkpoint that the run starts from; float32 for random weights."""
    pretrained = isinstance(config.model, HFCausalLM) and config.model.pretrained
    found = model_config.dtype if pretrained else None
    return found if isinstance(found, torch.dtype) else torch.float32


def meta_model(config: TrainingConfig, model_config: PreTrainedConfig) -> PreTrainedModel:
    """Return the model's structure without any memory behind its parameters and buffers."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(
            model_config, dtype=torch.float32, **_trust(config), **_attention(config)
        )
    model.tie_weights()
    return model


def _fresh(config: TrainingConfig, model_config: PreTrainedConfig, attention: dict[str, str]) -> PreTrainedModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return AutoModelForCausalLM.from_config(model_config, dtype=torch.float32, **_trust(config), **attention)


def _attention(config: TrainingConfig) -> dict[str, str]:
    wanted = getattr(config.model, "attn_implementation", None)
    return {"attn_implementation": wanted} if wanted is not None else {}


def _trust(config: TrainingConfig) -> dict[str, bool]:
    return {"trust_remote_code": True} if getattr(config.model, "trust_remote_code", False) else {}


def _source(model: HFCausalLM) -> dict[str, Any]:
    source: dict[str, Any] = {"trust_remote_code": model.trust_remote_code}
    if model.revision is not None:
        source["revision"] = model.revision
    if model.use_auth_token:
        source["token"] = True
    return source


def _require_all_weights(name: str, report: Mapping[str, Any]) -> None:
    missing = sorted(report["missing_keys"])
    wrong = sorted((name, tuple(found), tuple(wanted)) for name, found, wanted in report["mismatched_keys"])
    if missing or wrong:
        what = f"lacks {len(missing)} weights, first {missing[0]}" if missing else _describe_shape(*wrong[0])
        raise ModelUnavailable(
            f"model {name!r}: the checkpoint {what}",
            hint="The files belong to another architecture, or the download is incomplete.",
        )


def _describe_shape(weight: str, found: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    return f"has shape {found} for {weight}, where the configuration asks for {wanted}"


def _mpt_config(model: MPTCausalLM, max_seq_len: int) -> MptConfig:
    # transformers' MPT knows one attention; the implementation asked for is a wish (docs/configuration.md).
    attention = model.attn_config.model_dump(exclude={"attn_impl"})
    return MptConfig(
        d_model=model.d_model,
        n_heads=model.n_heads,
        n_layers=model.n_layers,
        vocab_size=model.vocab_size,
        max_seq_len=model.max_seq_len or max_seq_len,
        attn_config=attention,
        layer_norm_epsilon=model.norm_eps,
        tie_word_embeddings=True,
    )


def _override(target: Any, overrides: Mapping[str, Any], path: str) -> None:
    for key, value in overrides.items():
        if not hasattr(target, key) or callable(getattr(type(target), key, None)):
            names = [name for name in vars(target) if not name.startswith("_")]
            near = difflib.get_close_matches(key, names, n=1)
            hint = f"Did you mean {near[0]}?" if near else "See the model's config.json for its keys."
            raise ConfigInvalid(f"{path}.{key}: {type(target).__name__} has no such setting", hint=hint)
        current = getattr(target, key)
        if isinstance(value, Mapping) and current is not None and not isinstance(current, Mapping):
            _override(current, value, f"{path}.{key}")
        elif isinstance(value, Mapping) and isinstance(current, Mapping):
            _set(target, key, {**current, **value}, path)
        else:
            _set(target, key, value, path)


def _set(target: Any, key: str, value: Any, path: str) -> None:
    try:
        setattr(target, key, value)
    except (StrictDataclassError, TypeError, ValueError) as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise ConfigInvalid(f"{path}.{key}: {value!r} is not possible: {reason}") from error
