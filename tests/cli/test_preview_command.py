"""`finetune preview`: what becomes of each row, without a model."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from finetune_cli.app import app
from finetune_cli.preview_display import buckets
from support.configs import training, write_yaml
from support.models import tiny_tokenizer

ROWS = [
    {"prompt": "Which freezes? ", "response": "water"},
    {"prompt": "", "response": "nothing asked"},
    {"prompt": "Which melts? ", "response": "ice"},
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    tiny_tokenizer(tmp_path / "tiny")
    (tmp_path / "data").mkdir()
    lines = "".join(json.dumps(row) + "\n" for row in ROWS)
    (tmp_path / "data" / "train.jsonl").write_text(lines, encoding="utf-8")
    return write_yaml(tmp_path / "train.yaml", training())


def invoke(file: Path, *arguments: str) -> Any:
    return CliRunner().invoke(app, ["preview", str(file), *arguments])


def test_json_is_one_object_for_each_source_row_in_source_order(file: Path) -> None:
    result = invoke(file, "-n", "0", "--json")
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(row["row"], row["line"]) for row in rows] == [(0, 1), (1, 2), (2, 3)]
    assert "dropped" in rows[1]
    assert len(rows[0]["input_ids"]) == len(rows[0]["labels"]) == rows[0]["tokens"]
    assert sum(label != -100 for label in rows[0]["labels"]) == rows[0]["loss_tokens"]
    assert set(rows[0]) == {"row", "line", "tokens", "loss_tokens", "input_ids", "labels"}


def test_as_many_rows_are_shown_as_were_asked_for(file: Path) -> None:
    assert len(invoke(file, "-n", "1", "--json").stdout.splitlines()) == 1


def test_a_person_sees_text_counts_drops_and_lengths(file: Path) -> None:
    shown = invoke(file).stdout
    assert "Which freezes? water" in shown
    assert "2 of 3 rows" in shown
    assert "dropped 1: empty prompt" in shown
    assert "row lengths" in shown


def test_a_split_that_does_not_exist_is_answered_with_those_that_do(file: Path) -> None:
    result = invoke(file, "--split", "eval")
    assert result.exit_code == 2
    assert "no split 'eval'" in result.stderr


def test_broken_data_has_the_exit_code_of_the_dataset_and_no_traceback(file: Path) -> None:
    (file.parent / "data" / "train.jsonl").write_text('{"prompt": "x"\n', encoding="utf-8")
    result = invoke(file, "--json")
    assert result.exit_code == 3
    assert result.stderr.startswith("DatasetInvalid: ")
    assert "Traceback" not in result.stderr


def test_every_length_falls_into_one_bucket() -> None:
    lengths = (3, 3, 4, 10, 19, 64)
    found = list(buckets(lengths))
    assert sum(count for _, _, count, _ in found) == len(lengths)
    assert found[0][0] == 3
    assert found[-1][1] >= 64
    assert max(share for *_, share in found) == 1.0
    assert list(buckets(())) == []
