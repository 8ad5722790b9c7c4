"""Amounts of storage as people write and read them."""

import pytest

from finetune_api.sizes import parse_size, size_words


@pytest.mark.parametrize(
    ("text", "count"),
    [
        (1, 1),
        ("1", 1),
        ("500MB", 500_000_000),
        ("20GiB", 20 << 30),
        ("20 gib", 20 << 30),
        ("1.5KiB", 1536),
        ("2PB", 2 * 10**15),
    ],
)
def test_a_size_is_a_number_with_or_without_a_unit(text: object, count: int) -> None:
    assert parse_size(text) == count


@pytest.mark.parametrize(
    "text", ["", "GiB", "20Gi", "-1", "1e9", "0", 0, -5, True, None, 1.5, "9999999PiB", "20 GiB 3"]
)
def test_anything_else_is_refused_with_the_accepted_forms(text: object) -> None:
    with pytest.raises(ValueError, match="write a number of bytes, 500MB or 20GiB"):
        parse_size(text)


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (20 << 30, "20.0 GiB"), (3 << 60, "3072.0 PiB")],
)
def test_bytes_are_told_in_the_largest_unit_that_fits(count: int, words: str) -> None:
    assert size_words(count) == words
