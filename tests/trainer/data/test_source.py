import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from finetune_api.config import TrainingConfig
from finetune_api.errors import DatasetInvalid
from finetune_trainer.data.source import Source, load_source
from finetune_trainer.data.source_files import find_files

MakeConfig = Callable[..., TrainingConfig]
WriteRows = Callable[..., Path]
ROWS = [{"prompt": f"p{i}", "response": f"r{i}"} for i in range(6)]


def load(config: TrainingConfig, tmp_path: Path) -> Source:
    dataset = config.train_loader.dataset
    scratch = tmp_path / "scratch"
    scratch.mkdir(exist_ok=True)
    return load_source(dataset, find_files(dataset), scratch)


def records(source: Source) -> list[dict[str, Any]]:
    return [record for batch in source.batches(4) for record in batch]


def places(source: Source) -> list[tuple[str, int | None]]:
    origins = [source.origins[i] for i in range(len(source))]
    return [(Path(origin.file).name, origin.line) for origin in origins]


def test_json_lines_are_read_in_order_with_their_lines(
    tmp_path: Path, make_config: MakeConfig, write_rows: WriteRows
) -> None:
    path = write_rows(ROWS)
    path.write_text(path.read_text().replace("\n", "\n\n", 2))
    source = load(make_config(), tmp_path)
    assert records(source) == ROWS
    assert places(source) == [("train.jsonl", line) for line in (1, 3, 5, 6, 7, 8)]


def test_a_json_array_is_read_with_its_lines(tmp_path: Path, make_config: MakeConfig) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/train.json").write_text(json.dumps(ROWS, indent=1))
    source = load(make_config(), tmp_path)
    assert records(source) == ROWS
    assert places(source)[:2] == [("train.json", 2), ("train.json", 6)]


def test_csv_is_read_with_its_lines(tmp_path: Path, make_config: MakeConfig) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('prompt,response\n"a\nb",x\n\nc,y\n')
    source = load(make_config(hf_name="csv", hf_kwargs={"data_files": str(path)}), tmp_path)
    assert records(source) == [{"prompt": "a\nb", "response": "x"}, {"prompt": "c", "response": "y"}]
    assert places(source) == [("rows.csv", 2), ("rows.csv", 5)]


def test_parquet_is_read_with_its_files(tmp_path: Path, make_config: MakeConfig) -> None:
    for name, part in (("a", ROWS[:2]), ("b", ROWS[2:])):
        pyarrow.parquet.write_table(pa.Table.from_pylist(part), tmp_path / f"{name}.parquet")
    files = [str(tmp_path / "b.parquet"), str(tmp_path / "a.parquet")]
    source = load(make_config(hf_name="parquet", hf_kwargs={"data_files": files}), tmp_path)
    assert records(source) == [*ROWS[2:], *ROWS[:2]]
    assert places(source) == [("b.parquet", None)] * 4 + [("a.parquet", None)] * 2


def test_a_local_directory_is_as_good_as_a_hub_name(
    tmp_path: Path, make_config: MakeConfig, write_rows: WriteRows
) -> None:
    write_rows(ROWS)
    write_rows(ROWS[:1], "data/test.jsonl")
    source = load(make_config(hf_name=str(tmp_path / "data"), hf_kwargs={}), tmp_path)
    assert records(source) == ROWS
    assert places(source)[5] == ("train.jsonl", 6)


@pytest.mark.parametrize(
    ("split", "expected"),
    [("train[1:3]", [1, 2]), ("train[-2:]", [4, 5]), ("train[:50%]", [0, 1, 2]), ("train[4:]+train[:1]", [4, 5, 0])],
)
def test_a_slice_of_a_split_keeps_each_rows_line(
    tmp_path: Path, make_config: MakeConfig, write_rows: WriteRows, split: str, expected: list[int]
) -> None:
    write_rows(ROWS)
    source = load(make_config(split=split), tmp_path)
    assert records(source) == [ROWS[i] for i in expected]
    assert places(source) == [("train.jsonl", i + 1) for i in expected]


def test_two_splits_can_be_joined(tmp_path: Path, make_config: MakeConfig, write_rows: WriteRows) -> None:
    write_rows(ROWS[:2])
    write_rows(ROWS[2:], "data/test.jsonl")
    for split in ("train+test", "all"):
        source = load(make_config(split=split), tmp_path)
        assert records(source) == ROWS
        assert places(source)[2] == ("test.jsonl", 1)


def test_data_files_by_split_are_read(tmp_path: Path, make_config: MakeConfig, write_rows: WriteRows) -> None:
    write_rows(ROWS[:2], "one.jsonl")
    write_rows(ROWS[2:], "two.jsonl")
    files = {"train": "one.jsonl", "held_out": ["two.jsonl"]}
    kwargs = {"data_dir": str(tmp_path), "data_files": files}
    assert records(load(make_config(split="held_out", hf_kwargs=kwargs), tmp_path)) == ROWS[2:]


def test_a_broken_file_of_another_split_does_not_matter(
    tmp_path: Path, make_config: MakeConfig, write_rows: WriteRows
) -> None:
    write_rows(ROWS)
    (tmp_path / "data/test.jsonl").write_text("{broken")
    assert records(load(make_config(), tmp_path)) == ROWS


def test_a_compressed_file_is_read_with_its_lines(tmp_path: Path, make_config: MakeConfig) -> None:
    import gzip

    (tmp_path / "data").mkdir()
    text = "".join(f"{json.dumps(row)}\n" for row in ROWS)
    (tmp_path / "data/train.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    source = load(make_config(), tmp_path)
    assert records(source) == ROWS
    assert places(source)[3] == ("train.jsonl.gz", 4)


def test_a_field_of_a_document_is_read_without_lines(tmp_path: Path, make_config: MakeConfig) -> None:
    (tmp_path / "doc.json").write_text(json.dumps({"version": 1, "rows": ROWS}))
    kwargs = {"data_files": str(tmp_path / "doc.json"), "field": "rows"}
    source = load(make_config(hf_kwargs=kwargs), tmp_path)
    assert records(source) == ROWS
    assert places(source)[0] == ("doc.json", None)


def test_an_empty_file_beside_a_full_one_is_read_over(
    tmp_path: Path, make_config: MakeConfig, write_rows: WriteRows
) -> None:
    write_rows([], "data/train-0.jsonl")
    write_rows(ROWS, "data/train-1.jsonl")
    assert places(load(make_config(), tmp_path))[0] == ("train-1.jsonl", 1)


@pytest.mark.parametrize(
    ("format_", "content"), [("json", ""), ("json", "\n\n"), ("csv", "prompt,response\n"), ("csv", "")]
)
def test_an_empty_file_is_an_error(tmp_path: Path, make_config: MakeConfig, format_: str, content: str) -> None:
    path = tmp_path / "train.data"
    path.write_text(content)
    with pytest.raises(DatasetInvalid, match=r"train.data: empty, there is no record in it"):
        load(make_config(hf_name=format_, hf_kwargs={"data_files": str(path)}), tmp_path)


def test_broken_json_names_file_and_line(tmp_path: Path, make_config: MakeConfig, write_rows: WriteRows) -> None:
    path = write_rows(ROWS)
    path.write_text(path.read_text().replace('"r3"}', '"r3"'))
    with pytest.raises(DatasetInvalid, match=r"train.jsonl, line 4 .*: not JSON"):
        load(make_config(), tmp_path)


def test_a_column_of_two_types_names_file_and_line(
    tmp_path: Path, make_config: MakeConfig, write_rows: WriteRows
) -> None:
    write_rows([*ROWS, {"prompt": "p", "response": 3}])
    with pytest.raises(DatasetInvalid, match=r"train.jsonl, line 7: column response is a number"):
        load(make_config(), tmp_path)


def test_a_broken_parquet_file_is_named(tmp_path: Path, make_config: MakeConfig) -> None:
    path = tmp_path / "x.parquet"
    path.write_bytes(b"not parquet at all")
    with pytest.raises(DatasetInvalid, match=r"x.parquet: not a Parquet file"):
        load(make_config(hf_name="parquet", hf_kwargs={"data_files": str(path)}), tmp_path)


def test_safe_load_refuses_other_files(tmp_path: Path, make_config: MakeConfig, write_rows: WriteRows) -> None:
    path = write_rows(ROWS, "rows.txt")
    config = make_config(safe_load=True, hf_kwargs={"data_files": str(path)})
    with pytest.raises(DatasetInvalid, match=r"rows.txt: safe_load reads only .csv, .json"):
        load(config, tmp_path)


def test_reading_leaves_nothing_in_the_users_caches(
    tmp_path: Path, make_config: MakeConfig, write_rows: WriteRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    write_rows(ROWS)
    load(make_config(), tmp_path)
    assert not (tmp_path / "cache").exists()
