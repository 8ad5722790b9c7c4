"""Turns rows into token ids, many at a time, through the tokenizer's own batching."""

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING

from finetune_api.config.data import FinetuningDataset
from finetune_trainer.data.assembly import DropReason, Example, Targets, Turn, assemble, without_second_bos
from finetune_trainer.data.chat import CHATML, TemplateError, TurnText, slice_turns
from finetune_trainer.data.rows import Conversation, Message, PromptResponse

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class Encoder:
    """Encodes rows for one dataset: prompts and responses apart, conversations through the chat template."""

    def __init__(self, tokenizer: "PreTrainedTokenizerBase", dataset: FinetuningDataset) -> None:
        self._tokenizer = tokenizer
        self._targets = Targets.parse(dataset.target_prompts, dataset.target_responses)
        self._max_seq_len = dataset.max_seq_len
        self._template = None if tokenizer.chat_template else CHATML
        self.rendered_chat = False
        """Whether a conversation has gone through the chat template."""

    def turns(self, conversation: Conversation) -> list[TurnText]:
        """Render a conversation and cut it into turns; raise TemplateError when the template cannot be cut."""
        self.rendered_chat = True
        return slice_turns(conversation, self._render)

    def encode(self, rows: Sequence[PromptResponse | list[TurnText]]) -> list[tuple[Example | DropReason, int]]:
        """Return for each row an example, or why there is none, and its length before the cut."""
        plain = [row for row in rows if isinstance(row, PromptResponse)]
        chats = [turn for row in rows if not isinstance(row, PromptResponse) for turn in row]
        # Special tokens are the tokenizer's affair for plain text, and the chat template's for conversations.
        plain_turns = iter(self._tokenized([(row.prompt, row.response) for row in plain], special=True))
        chat_turns = iter(self._tokenized(chats, special=False))
        encoded = [
            [next(plain_turns)] if isinstance(row, PromptResponse) else list(islice(chat_turns, len(row)))
            for row in rows
        ]
        return [(self._assembled(turns), sum(len(p) + len(r) for p, r in turns)) for turns in encoded]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of token ids, special tokens included."""
        return str(self._tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))

    def _assembled(self, turns: list[Turn]) -> Example | DropReason:
        eos = self._tokenizer.eos_token_id
        return assemble(turns, self._targets, eos=eos, max_seq_len=self._max_seq_len)

    def _tokenized(self, texts: Sequence[tuple[str, str]], *, special: bool) -> list[Turn]:
        if not texts:
            return []
        tokens = self._tokenizer(
            text=[prompt for prompt, _ in texts],
            text_target=[response for _, response in texts],
            add_special_tokens=special,
            padding=False,
            truncation=False,
            verbose=False,
        )
        bos = self._tokenizer.bos_token_id if special else None
        pairs = zip(tokens["input_ids"], tokens["labels"], strict=True)
        return [Turn(prompt, without_second_bos(prompt, response, bos)) for prompt, response in pairs]

    def _render(self, messages: Sequence[Message], add_generation_prompt: bool) -> str:
        try:
            # A list of one conversation: an empty conversation alone is refused before the template sees it.
            [text] = self._tokenizer.apply_chat_template(
                [list(messages)],
                chat_template=self._template,
                tokenize=False,
                add_generation_prompt=add_generation_prompt,
            )
        # The template is a program of its own: it may raise anything.
        except Exception as error:
            raise TemplateError(f"the chat template refuses the conversation: {error}") from None
        return str(text)
