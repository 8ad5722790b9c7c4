"""What a row may look like after preprocessing: a prompt with its response, or a conversation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

ROLES = ("user", "assistant", "system", "tool")
RESPONSE_COLUMNS = ("response", "completion")
SHAPE_COLUMNS = frozenset({"prompt", "messages", *RESPONSE_COLUMNS})
EXPECTED = "expected prompt and response, prompt and completion, or messages"

Message = dict[str, str]


class ShapeError(ValueError):
    """A row that cannot be trained on; the text says what came instead."""


@dataclass(frozen=True, slots=True)
class PromptResponse:
    """One prompt and the response to learn, both plain text."""

    prompt: str
    response: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """Messages in order; assistant messages before `first_response` are context, never targets."""

    messages: tuple[Message, ...]
    first_response: int = 0


def shape_row(row: object) -> PromptResponse | Conversation:
    """Return the row as one of the two shapes; raise ShapeError naming what is wrong with it."""
    if not isinstance(row, Mapping):
        raise ShapeError(f"{EXPECTED}, as a dict, but got {kind_of(row)}")
    columns = _without_absent_alternatives(row)
    if "messages" in columns:
        _refuse_extra_columns(columns, {"messages"})
        return Conversation(_messages(columns["messages"], "messages"))
    response_column = next((name for name in RESPONSE_COLUMNS if name in columns), None)
    if "prompt" not in columns or response_column is None:
        raise ShapeError(f"{EXPECTED}, but got {_listed(columns)}")
    _refuse_extra_columns(columns, {"prompt", response_column})
    return _prompt_and(columns["prompt"], response_column, columns[response_column])


def kind_of(value: object) -> str:
    """Return a value's kind in words that JSON users know."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    names = {str: "a string", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return names.get(type(value), f"a {type(value).__name__}")


def _without_absent_alternatives(row: Mapping[Any, Any]) -> dict[str, Any]:
    # Reading rows of two shapes from one file fills the columns of the other shape with null.
    present = {k: v for k, v in row.items() if v is not None or k not in SHAPE_COLUMNS}
    if "messages" in present or ("prompt" in present and any(name in present for name in RESPONSE_COLUMNS)):
        return present
    return {k: v for k, v in row.items() if v is not None or k != "messages"}


def _refuse_extra_columns(columns: Mapping[str, Any], wanted: set[str]) -> None:
    extra = sorted(str(name) for name in columns if name not in wanted)
    if extra:
        raise ShapeError(f"{EXPECTED} and nothing else, but got {', '.join(extra)} as well")


def _prompt_and(prompt: object, response_column: str, response: object) -> PromptResponse | Conversation:
    if isinstance(prompt, str) and isinstance(response, str):
        return PromptResponse(prompt, response)
    if isinstance(prompt, list) and isinstance(response, list):
        return _conversation(prompt, response_column, response)
    for name, value in (("prompt", prompt), (response_column, response)):
        if not isinstance(value, str | list):
            raise ShapeError(f"{name} must be a string, but is {kind_of(value)}{_shown(value)}")
    raise ShapeError(
        f"prompt and {response_column} must both be strings or both lists of messages, "
        f"but prompt is {kind_of(prompt)} and {response_column} is {kind_of(response)}"
    )


def _conversation(prompt: list[Any], response_column: str, response: list[Any]) -> Conversation:
    for name, part in (("prompt", prompt), (response_column, response)):
        if not part:
            raise ShapeError(f"{name} has no message")
    return Conversation(_messages([*prompt, *response], f"prompt + {response_column}"), len(prompt))


def _messages(value: object, name: str) -> tuple[Message, ...]:
    if not isinstance(value, list | tuple):
        raise ShapeError(f"{name} must be a list, but is {kind_of(value)}")
    if len(value) < 2:
        raise ShapeError(f"{name} needs at least two messages, but has {len(value)}")
    messages = tuple(_message(message, f"{name}[{i}]") for i, message in enumerate(value))
    _check_turn_taking(messages, name)
    return messages


def _message(value: object, name: str) -> Message:
    if not isinstance(value, Mapping):
        raise ShapeError(f"{name} must be an object with role and content, but is {kind_of(value)}")
    # A key that only other messages have comes back from Arrow as null.
    present = {k: v for k, v in value.items() if v is not None or k in ("role", "content")}
    if set(present) != {"role", "content"}:
        raise ShapeError(f"{name} must have role and content and nothing else, but has {_listed(present)}")
    if present["role"] not in ROLES:
        raise ShapeError(f"{name}.role must be one of {', '.join(ROLES)}, but is {present['role']!r}")
    if not isinstance(present["content"], str):
        raise ShapeError(f"{name}.content must be a string, but is {kind_of(present['content'])}")
    return {"role": present["role"], "content": present["content"]}


def _check_turn_taking(messages: Sequence[Message], name: str) -> None:
    for i in range(1, len(messages)):
        if messages[i]["role"] == messages[i - 1]["role"]:
            raise ShapeError(f"{name}[{i}] has the role {messages[i]['role']} twice in a row")
    if messages[-1]["role"] != "assistant":
        raise ShapeError(f"{name} must end with the assistant, but ends with {messages[-1]['role']}")


def _listed(columns: Mapping[str, Any]) -> str:
    return ", ".join(str(name) for name in columns) or "no column"


def _shown(value: object) -> str:
    if value is None or isinstance(value, Mapping):
        return ""
    made_of_text = "; datasets makes this of text that looks like a date" if isinstance(value, date) else ""
    return f" ({str(value)[:60]}{made_of_text})"
