from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_trainer.data.chat import TemplateError, TurnText, slice_turns
from finetune_trainer.data.rows import Conversation, Message

SYSTEM = {"role": "system", "content": "be brief"}
USER = {"role": "user", "content": "hi"}
ASSISTANT = {"role": "assistant", "content": "hello"}


def bracketed(messages: Sequence[Message], add_generation_prompt: bool) -> str:
    text = "".join(f"[{m['role']}]{m['content']}[end]" for m in messages)
    return text + "[assistant]" * add_generation_prompt


def conversations() -> st.SearchStrategy[tuple[Message, ...]]:
    contents = st.text(max_size=5)
    exchange = st.tuples(contents, contents).map(
        lambda pair: ({"role": "user", "content": pair[0]}, {"role": "assistant", "content": pair[1]})
    )
    return st.lists(exchange, min_size=1, max_size=4).map(lambda pairs: tuple(m for p in pairs for m in p))


def test_each_assistant_message_ends_a_turn() -> None:
    turns = slice_turns(Conversation((SYSTEM, USER, ASSISTANT, USER, ASSISTANT)), bracketed)
    assert turns == [
        TurnText("[system]be brief[end][user]hi[end][assistant]", "hello[end]"),
        TurnText("[user]hi[end][assistant]", "hello[end]"),
    ]


@given(conversations())
def test_turns_add_up_to_the_whole_conversation(messages: tuple[Message, ...]) -> None:
    turns = slice_turns(Conversation(messages), bracketed)
    assert "".join(turn.prompt + turn.response for turn in turns) == bracketed(messages, False)


@given(conversations())
def test_answers_of_the_prompt_are_context(messages: tuple[Message, ...]) -> None:
    [turn] = slice_turns(Conversation(messages, first_response=len(messages) - 1), bracketed)
    assert turn.prompt == bracketed(messages[:-1], True)
    assert turn.prompt + turn.response == bracketed(messages, False)


def test_a_template_that_rewrites_what_came_before_is_an_error_showing_where() -> None:
    def only_last_answer(messages: Sequence[Message], add_generation_prompt: bool) -> str:
        kept = [m for i, m in enumerate(messages) if m["role"] != "assistant" or i == len(messages) - 1]
        return bracketed(kept, add_generation_prompt)

    with pytest.raises(TemplateError, match=r"with 3 messages, character 14 on reads 'user"):
        slice_turns(Conversation((USER, ASSISTANT, USER, ASSISTANT)), only_last_answer)
