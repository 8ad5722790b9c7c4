"""Token ids of a row's turns, put together into inputs and labels: masking, EOS, truncation, drops."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

IGNORED = -100
"""The label of a position that is no target, as every Hugging Face model expects it."""


class DropReason(StrEnum):
    """Why a row is left out."""

    EMPTY_PROMPT = "empty prompt"
    EMPTY_RESPONSE = "empty response"
    NO_TARGET = "no target within max_seq_len"


class Turn(NamedTuple):
    """Token ids of a prompt and of the response to it."""

    prompt: list[int]
    response: list[int]


class Example(NamedTuple):
    """A row ready for training; `labels` is as long as `input_ids`, unshifted, -100 where masked."""

    input_ids: list[int]
    labels: list[int]

    @property
    def loss_tokens(self) -> int:
        """Targets that cost anything: nothing predicts the first position."""
        shifted_out = self.labels[:1] != [IGNORED]
        return len(self.labels) - self.labels.count(IGNORED) - shifted_out


@dataclass(frozen=True, slots=True)
class Targets:
    """Which parts of a row are learned."""

    prompt_tokens: int | None = None
    """Prompts of at least this many tokens are targets; None: no prompt is."""
    all_responses: bool = False
    """Every response of a conversation is a target, not only the last."""

    @classmethod
    def parse(cls, target_prompts: str, target_responses: str) -> "Targets":
        """Read `none`, `all` or `length>=N`, and `last` or `all`."""
        prompts = target_prompts.lower()
        least = {"none": None, "all": 0}[prompts] if ">=" not in prompts else int(prompts.split(">=")[1])
        return cls(least, target_responses.lower() == "all")

    def of_prompt(self, prompt: list[int]) -> bool:
        """Tell whether this prompt is a target."""
        return self.prompt_tokens is not None and len(prompt) >= self.prompt_tokens


def assemble(turns: Sequence[Turn], targets: Targets, *, eos: int, max_seq_len: int) -> Example | DropReason:
    """Concatenate the turns, close the last with EOS, mask what is no target, cut on the right."""
    if any(not turn.prompt for turn in turns):
        return DropReason.EMPTY_PROMPT
    if any(not turn.response for turn in turns):
        return DropReason.EMPTY_RESPONSE
    input_ids: list[int] = []
    labels: list[int] = []
    for i, turn in enumerate(turns):
        is_last = i == len(turns) - 1
        response = _closed(turn.response, eos) if is_last else turn.response
        input_ids += turn.prompt + response
        labels += _masked_unless(targets.of_prompt(turn.prompt), turn.prompt)
        labels += _masked_unless(is_last or targets.all_responses, response)
    example = Example(input_ids[:max_seq_len], labels[:max_seq_len])
    return example if example.loss_tokens else DropReason.NO_TARGET


def without_second_bos(prompt: list[int], response: list[int], bos: int | None) -> list[int]:
    """Return the response without the BOS that the tokenizer gave it, when the prompt has one already."""
    begins_twice = bos is not None and prompt[:1] == [bos] and response[:1] == [bos]
    return response[1:] if begins_twice else response


def _closed(response: list[int], eos: int) -> list[int]:
    return response if response[-1] == eos else [*response, eos]


def _masked_unless(is_target: bool, ids: list[int]) -> list[int]:
    return ids if is_target else [IGNORED] * len(ids)
