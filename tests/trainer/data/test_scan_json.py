import bz2
import gzip
import lzma
from pathlib import Path

import pytest

from finetune_api.errors import DatasetInvalid
from finetune_trainer.data.scan_json import ColumnKinds, scan_json


def scan(tmp_path: Path, content: str | bytes, name: str = "d.jsonl") -> list[int]:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return scan_json(path, name, ColumnKinds()).tolist()


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        ('{"a": 1}\n{"a": 2}\n', [1, 2]),
        ('{"a": 1}\n{"a": 2}', [1, 2]),
        ('{"a": 1}\r\n\r\n\n  \n{"a": 2}\n', [1, 5]),
        ('\ufeff{"a": 1}\n{"a": 2}\n', [1, 2]),
        ('{"a": 1}{"a": 2} {"a": 3}\n{"a": 4}\n', [1, 1, 1, 2]),
        ('{\n "a": 1\n}\n{\n "a":\n 2\n} {"a": 3}\n\n{"a": 4}', [1, 4, 7, 9]),
        ('[{"a": 1},\n\n {"a": 2}, {"a":\n 3}]\n', [1, 3, 3]),
        ('["one",\n"two"]', [1, 2]),
        ("[]", []),
        ("", []),
        ("\n \n", []),
    ],
)
def test_each_record_is_traced_to_the_line_it_begins_on(tmp_path: Path, content: str, lines: list[int]) -> None:
    assert scan(tmp_path, content) == lines


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"a": 1}\n{"a": 2\n{"a": 3}\n', "line 2 .*: not JSON"),
        ('{"a": 1}\n{"prompt": "b", "respon\n', "line 2 .*: not JSON .*Unterminated string"),
        ('{"a": 1}\n{"a": 2} tail\n', "line 2 .*: not JSON"),
        ("{'a': 1}\n", r"line 1 \(row 0 of the file\): not JSON .*double quotes"),
        ('{"a": 1}\nplain words\n{"a": 3}\n', "line 2 .*: not JSON .*plain words"),
        ('{"a": 1}\n\n[1]\n', r"line 3 \(row 1 of the file\): a record must be an object, not a list"),
        ('{"a": 1}\n3\n', "line 2 .*: a record must be an object, not a number"),
        ('[{"a": 1},\n{"a": }]', "line 2 .*: not JSON"),
        ('[{"a": 1}\n{"a": 2}]', "line 2 .*: not JSON .*Expecting ',' or ']'"),
        ('[{"a": 1},\n', "line 2 .*: not JSON"),
    ],
)
def test_a_broken_record_is_named_with_its_line(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(DatasetInvalid, match=rf"d.jsonl, {said}"):
        scan(tmp_path, content)


def test_a_byte_that_is_not_utf8_is_named_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(DatasetInvalid, match=r"line 2 .*: not valid utf-8 \(byte 0xe9\)"):
        scan(tmp_path, b'{"a": "x"}\n{"a": "caf\xe9"}\n')


def test_a_named_encoding_is_read(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    path.write_bytes('{"a": "café"}\n'.encode("latin-1"))
    assert scan_json(path, "d", ColumnKinds(), "latin-1").tolist() == [1]


@pytest.mark.parametrize(("suffix", "compress"), [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)])
def test_compressed_files_are_traced_as_well(tmp_path: Path, suffix: str, compress: object) -> None:
    assert callable(compress)
    assert scan(tmp_path, compress(b'{"a": 1}\n\n{"a": 2}\n'), f"d.jsonl.{suffix}") == [1, 3]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            '{"response": "x"}\n{"response": 3}\n',
            r"line 2: column response is a number \(3\), but a string on line 1",
        ),
        ('{"a": 3}\n{"a": null}\n{"a": true}\n', r"line 3: column a is true or false \(true\), but a number"),
        ('{"a": []}\n{"a": {}}\n', "line 2: column a is an object"),
        (
            '{"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": 3}]}\n',
            r"line 1: column messages\[\].content is a number",
        ),
    ],
)
def test_a_column_of_two_types_is_refused_naming_both_places(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(DatasetInvalid, match=said):
        scan(tmp_path, content)


def test_whole_and_decimal_numbers_null_and_absent_columns_are_one_type(tmp_path: Path) -> None:
    assert scan(tmp_path, '{"a": 3}\n{"a": 3.5}\n{"a": null}\n{}\n') == [1, 2, 3, 4]


def test_a_type_that_changes_between_files_names_both_files(tmp_path: Path) -> None:
    kinds = ColumnKinds()
    for name, value in (("one.jsonl", '"x"'), ("two.jsonl", "3")):
        (tmp_path / name).write_text(f'{{"a": {value}}}\n')
    scan_json(tmp_path / "one.jsonl", "one.jsonl", kinds)
    with pytest.raises(DatasetInvalid, match=r"two.jsonl, line 1: .* a string on one.jsonl, line 1"):
        scan_json(tmp_path / "two.jsonl", "two.jsonl", kinds)
