"""Model directories made on the spot, so that no test needs a hub."""

import json
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

TEXT = (
    "Question: Which part of a plant takes in water from the soil? Options: - root - leaf - stem - flower Answer: root",
    "Question: What do we call frozen water? Options: - ice - steam - rain - fog Answer: ice",
)
EOS = "<|endoftext|>"


def tiny_tokenizer(directory: Path, *, texts: tuple[str, ...] = TEXT, vocab_size: int = 384) -> Path:
    """Write a byte-level BPE tokenizer trained on `texts`, with GPT-2's EOS as its only special token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    directory.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(directory / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": EOS, "bos_token": EOS}
    (directory / "tokenizer_config.json").write_text(json.dumps(settings))
    return directory


def tiny_gpt2(
    directory: Path,
    *,
    vocab_size: int | None = None,
    dropout: float = 0.0,
    layers: int = 2,
    width: int = 32,
    positions: int = 128,
) -> Path:
    """Write a small GPT-2 with random weights and its tokenizer; `vocab_size` None means the tokenizer's."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    tiny_tokenizer(directory)
    size = len(json.loads((directory / "tokenizer.json").read_text())["model"]["vocab"])
    config = GPT2Config(
        vocab_size=vocab_size or size,
        n_positions=positions,
        n_embd=width,
        n_layer=layers,
        n_head=2,
        resid_pdrop=dropout,
        embd_pdrop=dropout,
        attn_pdrop=dropout,
        bos_token_id=0,
        eos_token_id=0,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        GPT2LMHeadModel(config).save_pretrained(directory)
    return directory
