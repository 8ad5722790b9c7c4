"""A conversation cut into turns of text, so that the turns add up to what the template renders."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from finetune_trainer.data.rows import Conversation, Message

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

Render = Callable[[Sequence[Message], bool], str]
"""Renders messages as text, with the opening of the assistant's next message when the flag is set."""


class TurnText(NamedTuple):
    """The text before an assistant message, and that message with whatever closes it."""

    prompt: str
    response: str


class TemplateError(ValueError):
    """A chat template that cannot be cut into turns for this conversation."""


def slice_turns(conversation: Conversation, render: Render) -> list[TurnText]:
    """Return one turn per assistant message from `first_response` on.

    Raises TemplateError when a longer conversation does not begin with the text of a shorter one.
    """
    turns: list[TurnText] = []
    rendered = ""
    messages = conversation.messages
    for i, message in enumerate(messages):
        if message["role"] != "assistant" or i < conversation.first_response:
            continue
        with_prompt = render(messages[:i], True)
        with_response = render(messages[: i + 1], False)
        _check_prefix(rendered, with_prompt, i)
        _check_prefix(with_prompt, with_response, i + 1)
        turns.append(TurnText(with_prompt[len(rendered) :], with_response[len(with_prompt) :]))
        rendered = with_response
    return turns


def _check_prefix(shorter: str, longer: str, count: int) -> None:
    if longer.startswith(shorter):
        return
    at = next((i for i, (a, b) in enumerate(zip(shorter, longer, strict=False)) if a != b), len(longer))
    raise TemplateError(
        f"the chat template does not keep what it wrote: with {count} messages, character {at} on reads "
        f"{longer[at : at + 40]!r}, where the shorter conversation had {shorter[at : at + 40]!r}"
    )
