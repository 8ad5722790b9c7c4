from array import array

from finetune_trainer.data.origins import Origin, Origins, Piece

ORIGINS = Origins([Piece("a.jsonl", 2, array("q", [1, 3])), Piece("b.parquet", 3)])


def test_rows_map_to_their_file_and_line() -> None:
    assert [ORIGINS[i] for i in range(len(ORIGINS))] == [
        Origin("a.jsonl", 1),
        Origin("a.jsonl", 3),
        *[Origin("b.parquet", None)] * 3,
    ]


def test_a_slice_keeps_each_rows_origin() -> None:
    chosen = ORIGINS.select([(3, 5), (1, 3)])
    assert [chosen[i].file for i in range(4)] == ["b.parquet", "b.parquet", "a.jsonl", "b.parquet"]
    assert chosen[2] == Origin("a.jsonl", 3)


def test_parts_can_follow_each_other() -> None:
    joined = Origins.joined([ORIGINS, ORIGINS])
    assert len(joined) == 10
    assert joined[6] == Origin("a.jsonl", 3)


def test_errors_name_row_file_and_line() -> None:
    assert ORIGINS.describe(1) == "row 1 (a.jsonl, line 3)"
    assert ORIGINS.describe(2) == "row 2 (b.parquet)"
