"""What run.json holds, and the clock behind its timings."""

import json
import time
from pathlib import Path

from finetune_trainer.data.prepared import Drop, PreparedData, PreparedSplit
from finetune_trainer.run_dir import write_atomically
from finetune_trainer.run_json import PACKAGES, Stopwatch, describe_data, environment, write_run_json
from support.training import dataset_of, random_rows


def test_the_seconds_of_a_phase_that_comes_back_add_up_and_all_of_them_make_the_total() -> None:
    began = time.monotonic()
    watch = Stopwatch(began - 10.0, "import")
    for phase in ("load", "steps", "save", "steps"):
        time.sleep(0.01)
        watch.switch(phase)
    timings = watch.timings()
    passed = time.monotonic() - began
    assert list(timings) == ["import", "load", "steps", "save", "total"]
    assert 10.0 < timings["import"] <= timings["total"] < 10.001 + passed
    assert timings["load"] > 0
    assert abs(sum(timings.values()) - 2 * timings["total"]) < 0.01


def test_reading_the_timings_does_not_stop_the_clock() -> None:
    watch = Stopwatch(time.monotonic(), "import")
    first = watch.timings()["total"]
    time.sleep(0.01)
    assert watch.timings()["total"] > first


def test_the_versions_of_all_that_shapes_a_result_are_recorded() -> None:
    found = environment()
    assert set(found) == {"python", *PACKAGES}
    assert all(found.values())


def test_the_file_is_replaced_whole(tmp_path: Path) -> None:
    write_run_json(tmp_path, {"outcome": "first", "old": True}, write_atomically)
    write_run_json(tmp_path, {"outcome": "second", "path": Path("/somewhere")}, write_atomically)
    assert json.loads((tmp_path / "run.json").read_text()) == {"outcome": "second", "path": "/somewhere"}
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_the_data_are_described_by_hash_and_counts() -> None:
    split = PreparedSplit(
        name="train",
        path=Path("/cache/train.arrow"),
        sha256="abc",
        rows_sha256="rows",
        rows=98,
        tokens=1000,
        loss_tokens=90,
        longest=50,
        max_token_id=400,
        truncated=1,
        source_rows=100,
        size=12345,
        dropped={"empty response": Drop(2, "train.jsonl", 7)},
    )
    prepared = PreparedData(Path("/cache"), "def", {"train": split})
    described = json.loads(json.dumps(describe_data(prepared, {"train": dataset_of(random_rows(9))}), default=str))
    assert described["sha256"] == "def"
    train = described["splits"]["train"]
    assert train["path"] == "train.arrow"  # where the cache lay is nobody's business later
    assert train["length_histogram"]
    assert (train["rows"], train["source_rows"], train["dropped"]["empty response"]["count"]) == (98, 100, 2)
