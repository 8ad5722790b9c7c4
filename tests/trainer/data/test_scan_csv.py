from pathlib import Path
from typing import Any

import pytest

from finetune_api.errors import DatasetInvalid
from finetune_trainer.data.scan_csv import scan_csv, understands_csv


def scan(tmp_path: Path, content: str, **options: Any) -> list[int]:
    path = tmp_path / "d.csv"
    path.write_text(content)
    return scan_csv(path, "d.csv", options).tolist()


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        ("prompt,response\na,b\nc,d\n", [2, 3]),
        ('prompt,response\n"a\n\na",b\nc,d\n', [2, 5]),
        ("prompt,response\n\na,b\n\n\nc,d", [3, 6]),
        ("prompt,response\n", []),
        ("", []),
    ],
)
def test_each_record_is_traced_to_the_line_it_begins_on(tmp_path: Path, content: str, lines: list[int]) -> None:
    assert scan(tmp_path, content) == lines


def test_another_separator_is_understood(tmp_path: Path) -> None:
    assert scan(tmp_path, "prompt\tresponse\na,b\tc\n", sep="\t") == [2]
    assert not understands_csv({"sep": r"\s+"})
    assert not understands_csv({"skiprows": 3})


def test_too_many_fields_are_refused_where_pandas_would_shift_the_columns(tmp_path: Path) -> None:
    with pytest.raises(DatasetInvalid, match=r"d.csv, line 2: 3 fields, but the header has 2"):
        scan(tmp_path, "prompt,response\na,b,c\nd,e,f\n")


@pytest.mark.parametrize("text_first", [True, False])
def test_a_column_that_turns_from_numbers_to_text_is_refused(tmp_path: Path, text_first: bool) -> None:
    pieces = ["a,x\n" * 10_000, "a,007\n" * 5]
    if not text_first:
        pieces = ["a,007\n" * 10_000, "a,x\n" * 5]
    with pytest.raises(DatasetInvalid, match="column response is text on line"):
        scan(tmp_path, "prompt,response\n" + "".join(pieces))


def test_numbers_among_text_stay_text(tmp_path: Path) -> None:
    assert len(scan(tmp_path, "prompt,response\n" + "a,x\na,3\na,\n" * 5000)) == 15_000


def test_bytes_that_are_not_text_are_named(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_bytes(b"prompt,response\ncaf\xe9,b\n")
    with pytest.raises(DatasetInvalid, match=r"d.csv, near line \d: not valid utf-8-sig"):
        scan_csv(path, "d.csv", {})
    assert scan_csv(path, "d.csv", {"encoding": "latin-1"}).tolist() == [2]
