from pathlib import Path

import pytest

from finetune_cli.follow import Tail, parse_event


def test_lines_are_given_once_and_only_when_complete(tmp_path: Path) -> None:
    path = tmp_path / "log"
    tail = Tail(path)
    assert tail.lines() == []
    path.write_bytes(b"one\ntw")
    assert tail.lines() == ["one"]
    with path.open("ab") as file:
        file.write("o\ndr\u00fc".encode()[:-1])
    assert tail.lines() == ["two"]
    with path.open("ab") as file:
        file.write("\u00fc".encode()[1:])
    assert tail.last() == ["drü"]
    assert tail.last() == []


@pytest.mark.parametrize("line", ["", "{", "[]", "3", '{"step": 1}'])
def test_what_is_not_an_event_is_passed_over(line: str) -> None:
    assert parse_event(line) is None
