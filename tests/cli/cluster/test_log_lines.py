"""Lines of logs: times and ranks."""

import asyncio
from collections.abc import AsyncIterator, Iterable

import pytest

from finetune_cli.cluster.log_lines import Stamped, line_of_rank, line_with_origin, stamped, whole_lines


def test_times_are_read_to_the_nanosecond_in_any_zone() -> None:
    first = stamped(b"2026-01-01T01:00:00.000000001+01:00 hello  there")
    assert first == Stamped(1767225600 * 10**9 + 1, "hello  there")
    assert stamped(b"2026-01-01T00:00:00.5Z ").at - first.at == 5 * 10**8 - 1
    assert first.second == "2026-01-01T00:00:00Z"


def test_a_line_without_a_time_is_as_old_as_the_one_before() -> None:
    assert stamped(b"no \xff time", 7) == Stamped(7, "no \ufffd time")


def test_lines_are_whole_whatever_the_pieces_and_the_last_needs_no_end() -> None:
    async def pieces(chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    async def lines(*chunks: bytes) -> list[bytes]:
        return [line async for line in whole_lines(pieces(chunks))]

    assert asyncio.run(lines(b"on", b"e\n\ntw", b"o")) == [b"one", b"", b"two"]
    assert asyncio.run(lines(b"one\n")) == [b"one"]
    assert asyncio.run(lines()) == []


@pytest.mark.parametrize(
    ("text", "rank", "first", "shown"),
    [
        ("[rank 3] step", 3, 2, "step"),
        ("[rank 3] step", 2, 2, None),
        ("[rank 13] step", 3, 2, None),
        ("launcher", 2, 2, "launcher"),
        ("launcher", 3, 2, None),
        ("step", 0, 0, "step"),
        ("[rank 1] step", 0, 0, None),
        ("a [rank 1] step", 0, 0, "a [rank 1] step"),
    ],
)
def test_a_rank_has_its_marked_lines_and_the_first_of_a_node_the_unmarked(
    text: str, rank: int, first: int, shown: str | None
) -> None:
    assert line_of_rank(text, rank, first) == shown


def test_among_all_lines_each_says_whose_it_is() -> None:
    assert [line_with_origin(*one) for one in (("a", 0), ("b", 1), ("[rank 3] c", 1))] == [
        "[rank 0] a", "[node 1] b", "[rank 3] c",
    ]  # fmt: skip
