"""Turns one multiple-choice record into the prompt a model sees and the response it learns."""

from collections.abc import Mapping
from typing import Any


def multiple_choice(record: Mapping[str, Any]) -> dict[str, str]:
    """Return `prompt` (the question with its options) and `response` (the text of the right choice)."""
    options = [f" - {choice}" for choice in record["choices"]]
    # The prompt ends in "Answer: ", its space included: prompt and response are tokenized separately.
    prompt = "\n".join([record["query"], "Options:", *options, "Answer: "])
    return {"prompt": prompt, "response": record["choices"][record["gold"]]}
