import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from finetune_api.config import TrainingConfig
from finetune_api.errors import DatasetInvalid, PreprocessingFailed
from finetune_trainer.data import TokenizedDataset, load_prepared, prepare
from finetune_trainer.data.prepared import Drop

MakeConfig = Callable[..., TrainingConfig]
WriteRows = Callable[..., Path]
SomeRows = Callable[[int], list[dict[str, Any]]]


def test_rows_are_stored_with_their_source_and_totals(
    tmp_path: Path, make_config: MakeConfig, write_rows: WriteRows, some_rows: SomeRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_rows([some_rows(1)[0], {"prompt": "p", "response": ""}, *some_rows(3)[1:]])
    data = prepare(make_config(), tmp_path / "cache")
    split = data.splits["train"]
    dataset = TokenizedDataset.open(split)
    rows = [dataset.row(i) for i in range(len(dataset))]
    assert [(row.source_row, row.file, row.line) for row in rows] == [
        (0, "data/train.jsonl", 1),
        (2, "data/train.jsonl", 3),
        (3, "data/train.jsonl", 4),
    ]
    assert (split.rows, split.source_rows, split.tokens) == (3, 4, dataset.lengths.sum())
    assert split.longest == dataset.lengths.max()
    assert split.max_token_id == max(int(row.input_ids.max()) for row in rows)
    assert split.loss_tokens == sum(int((row.labels != -100).sum()) for row in rows)
    assert split.dropped == {"empty response": Drop(1, "data/train.jsonl", 1, 2)}
    assert load_prepared(data.directory) == data


def test_an_unchanged_start_finds_the_data_and_a_changed_one_does_not(
    tmp_path: Path, make_config: MakeConfig, write_rows: WriteRows, some_rows: SomeRows
) -> None:
    path = write_rows(some_rows(3))
    first = prepare(make_config(), tmp_path / "cache")
    os.utime(path, (1, 1))
    assert prepare(make_config("seed=3"), tmp_path / "cache") == first
    path.write_text(path.read_text().replace("answer 1", "answer X"))
    assert prepare(make_config(), tmp_path / "cache").sha256 != first.sha256


def test_a_file_that_is_not_read_changes_nothing(
    tmp_path: Path, make_config: MakeConfig, write_rows: WriteRows, some_rows: SomeRows
) -> None:
    write_rows(some_rows(3))
    first = prepare(make_config(), tmp_path / "cache")
    write_rows(some_rows(1), "data/metrics.jsonl")
    assert prepare(make_config(), tmp_path / "cache") == first


def test_a_changed_helper_of_the_function_prepares_anew(
    tmp_path: Path, make_config: MakeConfig, write_rows: WriteRows, some_rows: SomeRows
) -> None:
    write_rows(some_rows(2))
    code = tmp_path / "code"
    code.mkdir()
    (code / "rows.py").write_text(
        "import helper\n\ndef pair(r):\n    return {'prompt': helper.START + r['prompt'], 'response': 'x'}\n"
    )
    totals = []
    for start in ("a ", "another "):
        (code / "helper.py").write_text(f"START = {start!r}\n")
        config = make_config(preprocessing_fn="rows:pair")
        totals.append(prepare(config, tmp_path / "cache", code_dir=code).splits["train"].tokens)
    assert totals[0] != totals[1]


def test_an_unchanged_start_imports_no_library(
    tmp_path: Path, make_config: MakeConfig, write_rows: WriteRows, some_rows: SomeRows
) -> None:
    write_rows(some_rows(2))
    config = make_config()
    prepare(config, tmp_path / "cache")
    source = (
        "import json, sys\nfrom pathlib import Path\nfrom finetune_api.config import TrainingConfig\n"
        "from finetune_trainer.data import prepare\n"
        "config = TrainingConfig.model_validate_json(sys.stdin.read())\n"
        f"prepare(config, Path({str(tmp_path / 'cache')!r}))\n"
        "print(sorted({'torch', 'transformers', 'datasets', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", source], input=config.model_dump_json(), capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_evaluations_are_prepared_beside_the_training_split(
    tmp_path: Path, make_config: MakeConfig, write_rows: WriteRows, some_rows: SomeRows
) -> None:
    write_rows(some_rows(4))
    dataset = f"{{hf_name: json, hf_kwargs: {{data_dir: '{tmp_path}/data'}}, split: 'train[:1]'}}"
    loader = f"{{name: finetuning, label: held/out, dataset: {dataset}}}"
    data = prepare(make_config(f"eval_loader=[{loader}]"), tmp_path / "cache")
    assert {name: split.rows for name, split in data.splits.items()} == {"train": 4, "held/out": 1}
    assert len(TokenizedDataset.open(data.splits["held/out"])) == 1


def test_truncated_rows_are_counted(tmp_path: Path, make_config: MakeConfig, write_rows: WriteRows) -> None:
    write_rows([{"prompt": "p", "response": "xyzxyzxyz"}, {"prompt": "p", "response": "x"}])
    split = prepare(make_config(max_seq_len=5), tmp_path / "cache").splits["train"]
    assert (split.truncated, split.longest) == (1, 5)


def test_drops_are_counted_by_reason_with_the_first_row_of_each(
    tmp_path: Path, make_config: MakeConfig, write_rows: WriteRows, some_rows: SomeRows
) -> None:
    empty, long = {"prompt": "", "response": "r"}, {"prompt": "z" * 200, "response": "r"}
    path = write_rows([*some_rows(2), long, empty, long])
    dropped = prepare(make_config(), tmp_path / "cache").splits["train"].dropped
    assert dropped == {
        "no target within max_seq_len": Drop(2, str(path), 2, 3),
        "empty prompt": Drop(1, str(path), 3, 4),
    }


def test_nothing_left_is_an_error_with_both_numbers(
    tmp_path: Path, make_config: MakeConfig, write_rows: WriteRows
) -> None:
    write_rows([{"prompt": "", "response": "r"}] * 3)
    for _ in range(2):  # the second time from the cache
        with pytest.raises(
            DatasetInvalid, match=r"train: 0 of 3 rows are left. Dropped: 3 empty prompt \(first: row 0"
        ):
            prepare(make_config(), tmp_path / "cache")


def test_fewer_rows_than_a_batch_are_an_error_with_both_numbers_when_short_batches_are_dropped(
    tmp_path: Path, make_config: MakeConfig, write_rows: WriteRows, some_rows: SomeRows
) -> None:
    write_rows(some_rows(3))
    eight = "global_train_batch_size=8"
    assert prepare(make_config(eight), tmp_path / "cache").splits["train"].rows == 3
    with pytest.raises(DatasetInvalid, match="train: 3 rows are fewer than one global batch of 8"):
        prepare(make_config(eight, "train_loader.drop_last=true"), tmp_path / "cache")


def test_a_function_that_raises_names_the_row_and_leaves_nothing_behind(
    tmp_path: Path, make_config: MakeConfig, write_rows: WriteRows, some_rows: SomeRows
) -> None:
    write_rows([*some_rows(1200), {"prompt": "p", "response": None}])
    code = tmp_path / "code"
    code.mkdir()
    (code / "rows.py").write_text("def pair(r):\n    return r | {'response': r['response'].upper()}\n")
    with pytest.raises(PreprocessingFailed, match=r"row 1200 \(.*train.jsonl, line 1201\): .*AttributeError"):
        prepare(make_config(preprocessing_fn="rows:pair"), tmp_path / "cache", code_dir=code)
    assert list((tmp_path / "cache/prepared").iterdir()) == []


def test_a_template_that_cannot_be_cut_names_the_row(
    tmp_path: Path, make_config: MakeConfig, write_rows: WriteRows
) -> None:
    chat = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    write_rows([{"messages": chat}])
    config = make_config("tokenizer.kwargs={chat_template: '{{ messages[-1].content }}'}")
    with pytest.raises(DatasetInvalid, match=r"row 0 \(.*line 1\): the chat template does not keep what it wrote"):
        prepare(config, tmp_path / "cache")


def test_progress_is_told_while_a_slow_function_works_on_one_batch(
    tmp_path: Path, make_config: MakeConfig, write_rows: WriteRows, some_rows: SomeRows
) -> None:
    write_rows(some_rows(3))
    code = tmp_path / "code"
    code.mkdir()
    (code / "rows.py").write_text("import time\n\ndef pair(r):\n    time.sleep(0.6)\n    return r\n")
    told: list[tuple[str, int, int | None]] = []
    config = make_config(preprocessing_fn="rows:pair")
    prepare(config, tmp_path / "cache", code_dir=code, on_progress=lambda *event: told.append(event))
    assert told == [("train", 0, None), ("train", 1, 3), ("train", 2, 3), ("train", 3, 3), ("train", 3, 3)]
