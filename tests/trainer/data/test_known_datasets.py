from typing import Any

import pytest

from finetune_trainer.data.known_datasets import KNOWN_DATASETS

HEADER = "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"


@pytest.mark.parametrize(
    ("name", "record", "row"),
    [
        (
            "tatsu-lab/alpaca",
            {"text": "Do it.\n\n### Response:Done."},
            {"prompt": "Do it.\n\n### Response:", "response": "Done."},
        ),
        (
            "HuggingFaceH4/databricks_dolly_15k",
            {"instruction": "Sum", "input": "1 2", "output": "3"},
            {"prompt": f"{HEADER}### Instruction:\nSum\n1 2\n\n### Response:\n", "response": "3"},
        ),
        (
            "HuggingFaceH4/databricks_dolly_15k",
            {"instruction": "Sum", "input": "", "output": "3"},
            {"prompt": f"{HEADER}### Instruction:\nSum\n\n### Response:\n", "response": "3"},
        ),
        ("bigscience/P3", {"inputs": "a", "targets": "b"}, {"prompt": "a:", "response": "b"}),
        ("Muennighoff/flan", {"inputs": "a", "targets": "b"}, {"prompt": "a", "response": " b"}),
        ("Muennighoff/P3", {"inputs": "a\n", "targets": "b"}, {"prompt": "a\n", "response": "b"}),
        (
            "teknium/OpenHermes-2.5",
            {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]},
            {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]},
        ),
    ],
)
def test_a_known_datasets_record_becomes_a_row(name: str, record: dict[str, Any], row: dict[str, Any]) -> None:
    assert KNOWN_DATASETS[name](record) == row
