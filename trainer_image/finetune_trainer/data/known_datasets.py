"""Public datasets that need no preprocessing function, the ones LLM Foundry knows by name."""

from collections.abc import Callable
from typing import Any, Final

Record = dict[str, Any]

_ALPACA_RESPONSE = "### Response:"
_SHAREGPT_ROLES = {"human": "user", "gpt": "assistant"}


def alpaca(record: Record) -> Record:
    """Split the one text column after its response heading."""
    prompt, response = record["text"].split(_ALPACA_RESPONSE)
    return {"prompt": prompt + _ALPACA_RESPONSE, "response": response}


def dolly(record: Record) -> Record:
    """Put instruction and input under the headings of Alpaca's prompt."""
    instruction = "\n".join(part for part in (record["instruction"], record["input"]) if part != "")
    if record["input"] != "" and record["instruction"] == "":
        instruction = "\n" + instruction
    prompt = (
        "Below is an instruction that describes a task. Write a response that appropriately completes the "
        f"request.\n\n### Instruction:\n{instruction}\n\n{_ALPACA_RESPONSE}\n"
    )
    return {"prompt": prompt, "response": record["output"]}


def p3(record: Record) -> Record:
    """End the inputs with a colon."""
    return {"prompt": record["inputs"] + ":", "response": record["targets"]}


def muennighoff(record: Record) -> Record:
    """Separate inputs and targets by a space unless white space is there already."""
    prompt, response = record["inputs"], record["targets"]
    space = (" ", "\n", "\t")
    separated = prompt.endswith(space) or response.startswith(space)
    return {"prompt": prompt, "response": response if separated else " " + response}


def sharegpt(record: Record) -> Record:
    """Rename ShareGPT's roles and keys."""
    messages = [
        {"role": _SHAREGPT_ROLES.get(message["from"], message["from"]), "content": message["value"]}
        for message in record["conversations"]
    ]
    return {"messages": messages}


KNOWN_DATASETS: Final[dict[str, Callable[[Record], Record]]] = {
    "tatsu-lab/alpaca": alpaca,
    "HuggingFaceH4/databricks_dolly_15k": dolly,
    "bigscience/P3": p3,
    "Muennighoff/P3": muennighoff,
    "Muennighoff/flan": muennighoff,
    "teknium/OpenHermes-2.5": sharegpt,
}
