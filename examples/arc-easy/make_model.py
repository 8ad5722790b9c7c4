"""Makes a small GPT-2 with a tokenizer of its own, so that a run needs no model hub.

    python examples/arc-easy/make_model.py out/model
    python examples/arc-easy/make_model.py --weights out/local-model

The tokenizer is a byte-level BPE trained on this folder's questions. Without --weights the directory holds
only an architecture and a tokenizer, for `pretrained: false`; with it also random weights, the same for the
same seed.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from preprocessing import multiple_choice
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

END_OF_TEXT = "<|endoftext|>"
POSITIONS = 512
QUESTIONS = Path(__file__).resolve().parent / "train.jsonl"


def main() -> None:
    """Make the model directory unless it is already there."""
    options = _options()
    directory: Path = options.directory
    complete = directory / ("model.safetensors" if options.weights else "config.json")
    if complete.exists():
        print(f"{directory} is there already")
        return
    directory.mkdir(parents=True, exist_ok=True)
    write_tokenizer(directory, options.vocabulary)
    config = architecture(options.vocabulary, options.width, options.layers)
    if options.weights:
        write_weights(directory, config, options.seed)
    else:
        (directory / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    print(f"made {directory}")


def architecture(vocabulary: int, width: int, layers: int) -> dict[str, Any]:
    """Return the configuration of a GPT-2 of this size; token 0 begins and ends a text."""
    return {
        "model_type": "gpt2",
        "architectures": ["GPT2LMHeadModel"],
        "vocab_size": vocabulary,
        "n_positions": POSITIONS,
        "n_embd": width,
        "n_layer": layers,
        "n_head": max(1, width // 32),
        "bos_token_id": 0,
        "eos_token_id": 0,
    }


def write_tokenizer(directory: Path, vocabulary: int) -> None:
    """Train a byte-level BPE of `vocabulary` tokens on the questions and write it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(), trainer)
    tokenizer.save(str(directory / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": END_OF_TEXT,
        "eos_token": END_OF_TEXT,
        "model_max_length": POSITIONS,
    }
    (directory / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n")


def write_weights(directory: Path, config: dict[str, Any], seed: int) -> None:
    """Write the model with random weights, the same for the same seed."""
    import torch  # here, because an architecture alone is made without waiting for this import
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(seed)
    GPT2LMHeadModel(GPT2Config(**config)).save_pretrained(directory)


def _texts() -> Iterator[str]:
    with QUESTIONS.open(encoding="utf-8") as records:
        for line in records:
            row = multiple_choice(json.loads(line))
            yield row["prompt"] + row["response"]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path, help="where to write the model")
    parser.add_argument("--weights", action="store_true", help="also write random weights (takes seconds)")
    parser.add_argument("--width", type=int, default=128, help="hidden size, a multiple of 32 (default: 128)")
    parser.add_argument("--layers", type=int, default=4, help="transformer blocks (default: 4)")
    parser.add_argument("--vocabulary", type=int, default=1024, help="tokens of the tokenizer (default: 1024)")
    parser.add_argument("--seed", type=int, default=17, help="seed of the random weights (default: 17)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
