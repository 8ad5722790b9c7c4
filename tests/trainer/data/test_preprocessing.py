from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from finetune_api.errors import DatasetInvalid, PreprocessingFailed
from finetune_trainer.data.preprocessing import Preprocessor, find_preprocessor
from finetune_trainer.data.rows import PromptResponse
from finetune_trainer.data.user_code import user_modules

PLACE = "row 6 (train.jsonl, line 7)"
RECORD = {"question": "q", "answer": "a"}


@pytest.fixture
def write_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Path]]:
    """Writes `preprocessing.py` into the working directory, importable as long as the test runs."""
    monkeypatch.chdir(tmp_path)

    def write(source: str) -> Path:
        path = tmp_path / "preprocessing.py"
        path.write_text(source)
        return path

    with user_modules(None):
        yield write


def find(spec: Any = None, hf_name: str = "json") -> Preprocessor:
    return find_preprocessor(spec, hf_name, None)


def test_a_function_makes_rows_of_records(write_module: Callable[[str], Path]) -> None:
    write_module("def pair(record):\n    return {'prompt': record['question'], 'response': record['answer']}\n")
    assert find("preprocessing:pair").row(RECORD, PLACE) == PromptResponse("q", "a")


def test_columns_can_be_named_instead() -> None:
    mapping = {"prompt": "question", "response": "answer"}
    assert find(mapping).row(RECORD, PLACE) == PromptResponse("q", "a")


def test_without_either_a_record_is_a_row() -> None:
    assert find().row({"prompt": "p", "completion": "c"}, PLACE) == PromptResponse("p", "c")


def test_a_dataset_known_by_name_needs_no_function() -> None:
    row = find(hf_name="bigscience/P3").row({"inputs": "p", "targets": "r"}, PLACE)
    assert row == PromptResponse("p:", "r")


def test_a_record_that_is_no_row_is_a_mistake_of_the_dataset() -> None:
    with pytest.raises(DatasetInvalid, match=r"row 6 \(train.jsonl, line 7\): .* got question, answer") as raised:
        find().row(RECORD, PLACE)
    assert "preprocessing_fn" in str(raised.value)


def test_a_mapped_column_that_is_missing_names_the_nearest() -> None:
    with pytest.raises(PreprocessingFailed, match=r"no column 'questions'. Did you mean question\?"):
        find({"prompt": "questions", "response": "answer"}).row(RECORD, PLACE)


def test_a_mapped_column_that_is_missing_names_those_that_exist() -> None:
    with pytest.raises(PreprocessingFailed, match=r"no column 'x'\. Its columns are question, answer"):
        find({"prompt": "x", "response": "answer"}).row(RECORD, PLACE)


def test_a_function_that_raises_names_the_row_and_shows_only_the_users_code(
    write_module: Callable[[str], Path],
) -> None:
    path = write_module(
        "import json\n\ndef inner(record):\n    return json.loads(record['question'])\n\n"
        "def pair(record):\n    return inner(record)\n"
    )
    with pytest.raises(PreprocessingFailed, match=r"line 7\): preprocessing_fn preprocessing:pair raised") as raised:
        find("preprocessing:pair").row(RECORD, PLACE)
    error = raised.value
    assert "JSONDecodeError" in str(error)
    assert f" at {path.name}, line 4: return json.loads(record['question'])" in str(error)
    assert "the record has the columns question, answer" in str(error)
    assert error.user_traceback is not None
    assert error.user_traceback.count("  File ") == 2
    assert error.user_traceback.count(str(path)) == 2
    assert "return json.loads(record['question'])" in error.user_traceback
    assert "JSONDecodeError: Expecting value" in error.user_traceback


def test_the_cause_of_the_users_error_is_shown_as_well(write_module: Callable[[str], Path]) -> None:
    write_module(
        "def pair(record):\n    try:\n        record['x']\n    except KeyError as e:\n"
        "        raise ValueError('no x') from e\n"
    )
    with pytest.raises(PreprocessingFailed) as raised:
        find("preprocessing:pair").row(RECORD, PLACE)
    assert raised.value.user_traceback is not None
    assert "KeyError: 'x'" in raised.value.user_traceback
    assert "finetune_trainer" not in raised.value.user_traceback


def test_a_function_that_leaves_the_process_is_an_error_of_the_row(
    write_module: Callable[[str], Path],
) -> None:
    write_module("import sys\n\ndef pair(record):\n    sys.exit(0)\n")
    with pytest.raises(PreprocessingFailed, match="raised SystemExit: 0"):
        find("preprocessing:pair").row(RECORD, PLACE)


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        ("None", "but got null"),
        ("'text'", "but got a string"),
        ("('p', 'r')", "but got a tuple"),
        ("{'prompt': 'p', 'response': 3}", r"response must be a string, but is a number \(3\)"),
        ("{**record, 'prompt': 'p', 'response': 'r'}", "but got answer, question as well"),
    ],
)
def test_a_wrong_shape_names_what_came_back(write_module: Callable[[str], Path], returned: str, said: str) -> None:
    write_module(f"def pair(record):\n    return {returned}\n")
    with pytest.raises(PreprocessingFailed, match=rf"line 7\): .*pair returned a wrong row: .*{said}"):
        find("preprocessing:pair").row(RECORD, PLACE)
