from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from finetune_trainer.data.arrow_file import ArrowWriter, TokenizedDataset
from finetune_trainer.data.assembly import Example
from finetune_trainer.data.origins import Origin
from finetune_trainer.data.prepared import PreparedSplit
from finetune_trainer.data.rowstream import EncodedRow

SPLIT = PreparedSplit(
    name="train",
    path=Path(),
    sha256="",
    rows_sha256="rows",
    rows=0,
    tokens=0,
    loss_tokens=0,
    longest=0,
    max_token_id=0,
    truncated=0,
    source_rows=0,
    size=0,
)


def row(i: int) -> EncodedRow:
    example = Example(list(range(i % 7 + 1)), [-100] * (i % 7) + [i])
    return EncodedRow(i * 2, Origin("d.jsonl", i + 1 if i % 2 else None), example, 9)


def written(path: Path, count: int) -> TokenizedDataset:
    with ArrowWriter(path) as writer:
        for i in range(count):
            writer.write(row(i))
    return TokenizedDataset.open(replace(SPLIT, path=path))


@pytest.mark.parametrize("count", [0, 1, 4096, 5000])
def test_rows_come_back_as_they_were_written(tmp_path: Path, count: int) -> None:
    dataset = written(tmp_path / "d.arrow", count)
    assert len(dataset) == count
    assert dataset.lengths.dtype == np.int64
    assert dataset.lengths.tolist() == [i % 7 + 1 for i in range(count)]
    for i in {0, 1, 4095, 4096, count - 1} & set(range(count)):
        read, expected = dataset.row(i), row(i)
        assert isinstance(expected.example, Example)
        assert read.input_ids.dtype == read.labels.dtype == np.int64
        assert read.input_ids.tolist() == expected.example.input_ids
        assert read.labels.tolist() == expected.example.labels
        assert (read.source_row, read.file, read.line) == (i * 2, "d.jsonl", expected.origin.line)


@pytest.mark.parametrize("i", [-1, 3])
def test_a_row_that_does_not_exist_is_an_error(tmp_path: Path, i: int) -> None:
    with pytest.raises(IndexError, match=f"row {i} of 3"):
        written(tmp_path / "d.arrow", 3).row(i)


def test_an_error_while_writing_closes_the_file(tmp_path: Path) -> None:
    def interrupted() -> None:
        with ArrowWriter(tmp_path / "d.arrow") as writer:
            writer.write(row(0))
            raise KeyError

    with pytest.raises(KeyError):
        interrupted()
