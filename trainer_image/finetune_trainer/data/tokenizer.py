"""Loads the tokenizer and checks what training needs of it."""

from typing import TYPE_CHECKING

from finetune_api.config import TrainingConfig
from finetune_api.errors import ConfigInvalid, ModelUnavailable, Problem

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def load_tokenizer(config: TrainingConfig) -> "PreTrainedTokenizerBase":
    """Load the tokenizer from its directory or the hub; a missing pad token becomes the EOS token.

    Raises ModelUnavailable when it is missing, gated, unreadable or has no EOS token, Retryable when the
    network failed, ConfigInvalid when a dataset expects other special tokens.
    """
    from finetune_trainer.hub import explained_hub_errors  # hub itself needs hub_errors of this package

    name = config.tokenizer.name
    with explained_hub_errors("tokenizer", name):
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(name, **config.tokenizer.kwargs)
    if len(tokenizer) <= len(tokenizer.all_special_tokens):
        raise ModelUnavailable(
            f"tokenizer {name!r}: it has no vocabulary.",
            hint="A tokenizer directory holds tokenizer.json, or the vocabulary files of its kind.",
        )
    if tokenizer.eos_token_id is None:
        raise ModelUnavailable(
            f"tokenizer {name!r}: it has no EOS token, so a model could not learn where to stop.",
            hint="Name one of its tokens in tokenizer.kwargs.eos_token.",
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    _check_special_tokens(config, tokenizer)
    return tokenizer


def _check_special_tokens(config: TrainingConfig, tokenizer: "PreTrainedTokenizerBase") -> None:
    loaders = {"train_loader": config.train_loader, **config.eval_loaders_by_label}
    problems = [
        Problem(
            f"{key if key == 'train_loader' else f'eval_loader ({key})'}.dataset.{kind}_token_id",
            f"{wanted} is not the tokenizer's {kind.upper()} token, which is {actual}",
            "leave the key out, or use the tokenizer it belongs to",
        )
        for key, loader in loaders.items()
        for kind, wanted, actual in (
            ("eos", loader.dataset.eos_token_id, tokenizer.eos_token_id),
            ("bos", loader.dataset.bos_token_id, tokenizer.bos_token_id),
        )
        if wanted is not None and wanted != actual
    ]
    if problems:
        raise ConfigInvalid.of(problems)
