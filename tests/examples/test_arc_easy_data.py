import importlib.util
import json
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from support.shell import ROOT

EXAMPLE = ROOT / "examples" / "arc-easy"


def _records(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (EXAMPLE / name).read_text(encoding="utf-8").splitlines()]


def _preprocessing() -> ModuleType:
    spec = importlib.util.spec_from_file_location("arc_easy_preprocessing", EXAMPLE / "preprocessing.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("name", "count"), [("train.jsonl", 100), ("validation.jsonl", 16)])
def test_every_record_has_the_shape_of_arc_easy(name: str, count: int) -> None:
    records = _records(name)
    assert len(records) == count
    for record in records:
        assert list(record) == ["choices", "query", "gold"]
        assert record["query"].startswith("Question: ")
        assert record["query"].endswith(("?\n", ".\n"))
        assert 3 <= len(set(record["choices"])) == len(record["choices"]) <= 5
        assert 0 <= record["gold"] < len(record["choices"])


def test_no_question_is_asked_twice() -> None:
    queries = [record["query"] for name in ("train.jsonl", "validation.jsonl") for record in _records(name)]
    assert len(set(queries)) == len(queries)


def test_the_right_choice_stands_at_each_place_about_equally_often() -> None:
    places = Counter(record["gold"] for record in _records("train.jsonl"))
    assert all(20 <= places[place] <= 30 for place in range(4))


def test_the_prompt_ends_after_the_space_and_the_response_is_the_right_choice() -> None:
    record = {"choices": ["ice", "steam", "fog"], "query": "Question: What melts?\n", "gold": 0}
    row = _preprocessing().multiple_choice(record)
    assert row == {
        "prompt": "Question: What melts?\n\nOptions:\n - ice\n - steam\n - fog\nAnswer: ",
        "response": "ice",
    }


def test_both_job_code_and_data_fit_a_config_map() -> None:
    files = [Path("train.jsonl"), Path("validation.jsonl"), Path("preprocessing.py")]
    assert sum((EXAMPLE / file).stat().st_size for file in files) < 2**20
