from pathlib import Path

import pytest

from finetune_api.errors import ConfigInvalid
from finetune_api.yaml_text import parse_yaml, read_text

BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 40))


@pytest.mark.parametrize("text", ["6e-4", "6.0e-4", "6E-4", "0.0006", ".0006", "+6e-04"])
def test_every_way_to_write_a_float_is_a_float(text: str) -> None:
    assert parse_yaml(f"lr: {text}")[0].value == {"lr": 0.0006}


def test_durations_dates_and_versions_stay_text() -> None:
    value = parse_yaml("{a: 1ep, b: 2024-01-01, c: 1.2.3, d: .}")[0].value
    assert value == {"a": "1ep", "b": "2024-01-01", "c": "1.2.3", "d": "."}


def test_a_key_written_twice_is_a_mistake_with_its_line() -> None:
    with pytest.raises(ConfigInvalid, match=r"f.yaml, line 3, column 1: seed is written twice"):
        parse_yaml("seed: 1\nprecision: fp32\nseed: 2\n", "f.yaml")


def test_merged_keys_may_be_overridden() -> None:
    text = "base: &b {x: 1, y: 2}\nmore: &m\n  <<: *b\n  x: 3\nlast:\n  <<: *m\n  y: 4\n"
    assert parse_yaml(text)[0].value["last"] == {"x": 3, "y": 4}


def test_a_syntax_error_names_line_and_column() -> None:
    with pytest.raises(ConfigInvalid, match=r"line 3, column 1: expected"):
        parse_yaml("model: {\nname: [\n")


@pytest.mark.parametrize(
    "text", ["\x00", "a: \x07", "!!python/object:os.system x", "[" * 3000, "a: *b", "a: &a [*a]", BOMB]
)
def test_hostile_text_is_a_mistake_and_not_a_crash(text: str) -> None:
    with pytest.raises(ConfigInvalid):
        parse_yaml(text)


def test_the_key_that_defines_an_anchor_is_remembered_and_its_users_are_not() -> None:
    text = "rows: &rows {hf_name: json}\ntrain: {dataset: *rows}\nother: {<<: *rows}\nfree: &unused 1\n"
    assert parse_yaml(text)[0].aliased_keys == {"rows"}


def test_empty_documents_are_left_out() -> None:
    assert [document.value for document in parse_yaml("---\n---\na: 1\n---\n")] == [{"a": 1}]


def test_a_missing_file_and_a_binary_file_are_mistakes(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="no such file"):
        read_text(tmp_path / "none.yaml")
    with pytest.raises(ConfigInvalid):
        read_text(tmp_path)
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigInvalid, match="not UTF-8"):
        read_text(tmp_path / "binary.yaml")
