from datetime import datetime
from typing import Any

import pytest

from finetune_trainer.data.rows import Conversation, PromptResponse, ShapeError, shape_row

USER = {"role": "user", "content": "hi"}
ASSISTANT = {"role": "assistant", "content": "hello"}


@pytest.mark.parametrize("column", ["response", "completion"])
def test_a_prompt_with_its_response_is_a_row(column: str) -> None:
    assert shape_row({"prompt": "a", column: "b"}) == PromptResponse("a", "b")


def test_messages_are_a_conversation() -> None:
    assert shape_row({"messages": [USER, ASSISTANT]}) == Conversation((USER, ASSISTANT))


def test_prompt_and_completion_as_messages_make_the_prompts_answers_context() -> None:
    prompt = [USER, ASSISTANT, {"role": "user", "content": "more"}]
    row = shape_row({"prompt": prompt, "completion": [ASSISTANT]})
    assert row == Conversation((*prompt, ASSISTANT), first_response=3)


def test_null_columns_of_the_other_shape_are_no_extra_columns() -> None:
    assert shape_row({"prompt": "a", "response": "b", "messages": None}) == PromptResponse("a", "b")
    row = shape_row({"prompt": None, "response": None, "messages": [USER, ASSISTANT]})
    assert row == Conversation((USER, ASSISTANT))


def test_a_key_of_other_messages_that_is_null_here_is_no_extra_key() -> None:
    row = shape_row({"messages": [USER | {"name": None}, ASSISTANT]})
    assert row == Conversation((USER, ASSISTANT))


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("text", "as a dict, but got a string"),
        (None, "as a dict, but got null"),
        (["a", "b"], "as a dict, but got a list"),
        ({}, "got no column"),
        ({"query": "a", "choices": []}, "got query, choices"),
        ({"prompt": "a"}, "got prompt"),
        ({"prompt": "a", "response": "b", "id": 7}, "got id as well"),
        ({"prompt": "a", "response": "b", "completion": "c"}, "got completion as well"),
        ({"messages": [USER, ASSISTANT], "source": "x"}, "got source as well"),
        ({"prompt": "a", "response": 3}, r"response must be a string, but is a number \(3\)"),
        ({"prompt": "a", "response": None}, "response must be a string, but is null"),
        ({"prompt": True, "response": "b"}, r"prompt must be a string, but is true or false \(True\)"),
        ({"prompt": datetime(2020, 1, 2), "response": "b"}, r"is a datetime \(2020.*text that looks like a date\)"),
        ({"prompt": [USER], "completion": "b"}, "must both be strings or both lists of messages"),
        ({"prompt": [], "completion": [ASSISTANT]}, "prompt has no message"),
        ({"messages": "hi"}, "messages must be a list, but is a string"),
        ({"messages": [ASSISTANT]}, "at least two messages, but has 1"),
        ({"messages": ["hi", ASSISTANT]}, r"messages\[0\] must be an object with role and content"),
        ({"messages": [USER | {"name": "x"}, ASSISTANT]}, r"messages\[0\] must have role and content and"),
        ({"messages": [{"role": "human", "content": "x"}, ASSISTANT]}, r"messages\[0\].role must be one of"),
        ({"messages": [{"role": "user", "content": 3}, ASSISTANT]}, r"messages\[0\].content must be a string"),
        ({"messages": [USER, USER, ASSISTANT]}, r"messages\[1\] has the role user twice in a row"),
        ({"messages": [USER, ASSISTANT, USER]}, "must end with the assistant, but ends with user"),
    ],
)
def test_anything_else_is_refused_naming_what_came(row: Any, said: str) -> None:
    with pytest.raises(ShapeError, match=said):
        shape_row(row)
