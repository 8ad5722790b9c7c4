import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from finetune_api.config import TrainingConfig
from finetune_api.errors import ConfigInvalid, DatasetInvalid
from finetune_trainer.data import TokenizedDataset, prepare
from finetune_trainer.data.prepared import Drop
from finetune_trainer.data.preview import preview

MakeConfig = Callable[..., TrainingConfig]
WriteRows = Callable[..., Path]
SomeRows = Callable[[int], list[dict[str, Any]]]


def test_every_record_is_shown_in_source_order_as_it_would_be_prepared(
    tmp_path: Path, make_config: MakeConfig, write_rows: WriteRows, some_rows: SomeRows
) -> None:
    write_rows([some_rows(1)[0], {"prompt": "p", "response": ""}, some_rows(2)[1]])
    shown = [row.to_json() for row in preview(make_config(shuffle=True))]
    dataset = TokenizedDataset.open(prepare(make_config(), tmp_path / "cache").splits["train"])
    first, last = dataset.row(0), dataset.row(1)
    assert shown[0] == {
        "row": 0,
        "line": 1,
        "tokens": len(first.input_ids),
        "loss_tokens": int((first.labels != -100).sum()),
        "input_ids": first.input_ids.tolist(),
        "labels": first.labels.tolist(),
    }
    assert shown[1] == {"row": 1, "line": 2, "dropped": "empty response"}
    assert (shown[2]["row"], shown[2]["labels"]) == (2, last.labels.tolist())


def test_text_comes_in_pieces_with_whether_each_is_a_target(make_config: MakeConfig, write_rows: WriteRows) -> None:
    write_rows([{"prompt": "Is ice cold? ", "response": "yes"}])
    [row] = preview(make_config())
    assert row.segments == (("Is ice cold? ", False), ("yes<|endoftext|>", True))


def test_the_summary_counts_the_rows_that_are_not_shown(
    make_config: MakeConfig, write_rows: WriteRows, some_rows: SomeRows
) -> None:
    path = write_rows([*some_rows(4), {"prompt": "", "response": "r"}])
    shown = preview(make_config(), rows=2)
    rows = list(shown)
    summary = shown.summary()
    assert [row.row for row in rows] == [0, 1]
    assert (summary.source_rows, summary.rows, len(summary.lengths)) == (5, 4, 4)
    assert summary.tokens == sum(summary.lengths)
    assert summary.dropped == {"empty prompt": Drop(1, str(path), 4, 5)}


def test_an_evaluation_is_shown_by_its_label(
    tmp_path: Path, make_config: MakeConfig, write_rows: WriteRows, some_rows: SomeRows
) -> None:
    write_rows(some_rows(2))
    write_rows(some_rows(3), "held.jsonl")
    dataset = f"{{hf_name: json, hf_kwargs: {{data_files: '{tmp_path}/held.jsonl'}}, split: train}}"
    config = make_config(f"eval_loader={{name: finetuning, dataset: {dataset}}}")
    assert len(list(preview(config, "eval"))) == 3
    with pytest.raises(ConfigInvalid, match="no split 'test' in this configuration; it has train, eval"):
        preview(config, "test")


def test_what_the_users_function_prints_stays_out_of_the_output(
    tmp_path: Path,
    make_config: MakeConfig,
    write_rows: WriteRows,
    some_rows: SomeRows,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_rows(some_rows(1))
    code = tmp_path / "code"
    code.mkdir()
    (code / "rows.py").write_text("print('loading')\n\ndef pair(r):\n    print('working')\n    return r\n")
    path = list(sys.path)
    assert len(list(preview(make_config(preprocessing_fn="rows:pair"), code_dir=code))) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "loading\nworking\n"
    assert sys.path == path


def test_a_row_that_cannot_be_prepared_is_the_same_error(make_config: MakeConfig, write_rows: WriteRows) -> None:
    write_rows([{"prompt": "p", "response": "r", "id": 1}])
    with pytest.raises(DatasetInvalid, match=r"row 0 \(.*, line 1\): .*got id as well"):
        list(preview(make_config()))
