"""Rank 0's journal: what is left in the output, and what is told while the run goes on."""

import errno
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import pytest
from transformers import AutoTokenizer

from finetune_api.errors import Superseded
from finetune_api.outcomes import Outcome
from finetune_trainer.data.prepared import PreparedData
from finetune_trainer.fence import Fence
from finetune_trainer.run_dir import RunDir
from finetune_trainer.run_journal import RunJournal, peak_memory
from finetune_trainer.run_spec import RunSpec
from finetune_trainer.train.evaluate import EvalResult
from finetune_trainer.train.step import StepResult
from finetune_trainer.train.timeline import Timeline
from support.ports import free_port
from support.power import Disk
from support.training import ALONE, UNRIVALLED, dataset_of, random_rows, split_of, training_config

ROWS = random_rows(12, seed=11)
RESULT = StepResult(loss=2.5, grad_norm=1.25, tokens=40, loss_tokens=16, positions=44, skipped=False)


class Attempt:
    """A journal on an output directory, with what it needs to begin."""

    def __init__(
        self,
        folder: Path,
        model: Path,
        number: int = 0,
        changes: dict[str, Any] | None = None,
        port: int | None = None,
    ) -> None:
        self.output, self.run_dir = folder / "output", RunDir(folder / f"attempt{number}")
        self.output.mkdir(exist_ok=True)
        self.run_dir.create()
        config = training_config(model, {"max_duration": "2ep", **(changes or {})})
        spec = RunSpec(
            config=folder / "config.yaml",
            output=self.output,
            run_dir=self.run_dir.path,
            cache=folder / "cache",
            attempt=number,
            job_uid="job",
            progress_port=port,
        )
        self.rows = dataset_of(ROWS)
        self.timeline = Timeline.of(config, self.rows.lengths)
        self.journal = RunJournal(spec, config, self.run_dir, time.monotonic() - 1.0)
        self.tokenizer = AutoTokenizer.from_pretrained(model)
        (folder / "rows").touch()
        self.prepared = PreparedData(folder, "abc", {"train": split_of(ROWS, folder / "rows")})

    def begin(self, first: int = 0) -> RunJournal:
        self.journal.own(ALONE, UNRIVALLED)
        self.journal.begin(self.prepared, self.timeline, {"train": self.rows}, self.tokenizer, first)
        self.journal.phase("train")
        return self.journal

    def metrics(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.output / "metrics.jsonl").read_text().splitlines()]

    def summary(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.output / "run.json").read_text())
        return found

    def told(self, event: str) -> list[dict[str, Any]]:
        events = [json.loads(line) for line in self.run_dir.progress_file.read_text().splitlines()]
        return [entry for entry in events if entry["event"] == event]


Start = Callable[..., Attempt]


@pytest.fixture
def start(tmp_path: Path, gpt2_dir: Path) -> Iterator[Start]:
    """Makes attempts on one output, and closes what they left open."""
    made: list[Attempt] = []

    def make(number: int = 0, changes: dict[str, Any] | None = None, port: int | None = None) -> Attempt:
        made.append(Attempt(tmp_path, gpt2_dir, number, changes, port))
        return made[-1]

    yield make
    for attempt in made:
        attempt.journal.close(Outcome.CRASHED, "the test is over", None)


@pytest.fixture
def attempt(start: Start) -> Attempt:
    return start()


def test_a_step_is_recorded_with_everything_about_it(attempt: Attempt) -> None:
    attempt.begin().step(3, np.array([5, 2, 9]), RESULT, 0.0125, 0.5)
    assert attempt.metrics() == [
        {
            "attempt": 0,
            "step": 3,
            "epoch": 0,
            "loss": 2.5,
            "lr": 0.0125,
            "grad_norm": 1.25,
            "rows": [5, 2, 9],
            "tokens": 40,
            "loss_tokens": 16,
            "positions": 44,
            "step_seconds": 0.5,
            "tokens_per_second": 80.0,
        }
    ]


def test_a_skipped_step_says_so_and_memory_is_recorded_on_request(start: Start) -> None:
    attempt = start(changes={"callbacks": {"memory_monitor": {}}})
    skipped = StepResult(loss=float("nan"), grad_norm=1.0, tokens=1, loss_tokens=1, positions=1, skipped=True)
    attempt.begin().step(1, np.array([0]), skipped, 0.0, 0.5)
    (line,) = attempt.metrics()
    assert (line["skipped"], line["loss"]) == (True, None)
    assert line["peak_memory_bytes"] > 1_000_000


def test_progress_has_percent_speed_and_the_time_that_is_left(attempt: Attempt) -> None:
    journal = attempt.begin()
    for step in (1, 2, 3):
        journal.step(step, np.array([0]), RESULT, 0.0, 0.5)
    last = attempt.told("step")[-1]
    assert (last["step"], last["totalSteps"], last["percent"]) == (3, 6, 50.0)
    assert (last["tokensPerSecond"], last["etaSeconds"]) == (80.0, 1.5)


def test_the_longest_step_after_the_first_and_the_longest_save_are_told(attempt: Attempt) -> None:
    journal = attempt.begin()
    for step, seconds in enumerate((9.0, 0.5, 2.0, 0.25), start=1):
        journal.step(step, np.array([0]), RESULT, 0.0, seconds)
        journal.checkpoint(step, 4 * seconds if step > 1 else 0.125)
    assert [event.get("stepSeconds") for event in attempt.told("step")] == [None, 0.5, 2.0, 2.0]
    assert [event["saveSeconds"] for event in attempt.told("checkpoint")] == [0.125, 2.0, 8.0, 8.0]


def test_the_page_of_progress_tells_of_the_data_and_of_the_checkpoint_it_begins_with(start: Start) -> None:
    port = free_port()
    journal = start(port=port).begin(first=2)
    with urlopen(f"http://127.0.0.1:{port}/progress", timeout=60) as answer:
        told = json.load(answer)
    journal.close(Outcome.SUCCEEDED, "done", 2)
    assert told["lastCheckpointStep"] == told["step"] == 2
    tokens = sum(len(row.input_ids) for row in ROWS)
    assert told["dataset"] == {"rows": len(ROWS), "tokens": tokens, "dropped": 0, "sha256": "abc"}


def test_the_console_gets_a_line_per_interval_and_one_for_the_last_step(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = start(changes={"console_log_interval": "4ba"}).begin()
    capsys.readouterr()
    for step in range(1, 7):
        journal.step(step, np.array([0]), RESULT, 0.0, 0.5)
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in printed] == ["4/6", "6/6"]
    assert "loss 2.5000" in printed[0]


def test_an_evaluation_is_recorded_told_and_remembered(attempt: Attempt) -> None:
    journal = attempt.begin()
    journal.evaluation(3, "eval", EvalResult(loss=0.0, loss_tokens=7))
    line = {"event": "eval", "label": "eval", "step": 3, "loss": 0.0, "perplexity": 1.0}
    assert attempt.metrics() == journal.evaluations() == [{**line, "attempt": 0}]
    assert attempt.told("eval") == [line]


def test_checkpoints_phases_and_messages_are_told(attempt: Attempt) -> None:
    journal = attempt.begin()
    journal.checkpoint(3, 1.25)
    journal.phase("export")
    journal.message("rows are laid out trimmed")
    assert attempt.told("checkpoint") == [{"event": "checkpoint", "step": 3, "saveSeconds": 1.25}]
    assert [entry["phase"] for entry in attempt.told("phase")] == ["train", "export"]
    assert attempt.told("message")[-1]["text"] == "rows are laid out trimmed"


def test_a_checkpoint_of_weights_only_is_none_to_resume_from(start: Start) -> None:
    port = free_port()
    attempt = start(port=port)
    journal = attempt.begin()
    journal.checkpoint(2, 1.0)
    journal.checkpoint(3, 2.0, weights_only=True)
    with urlopen(f"http://127.0.0.1:{port}/progress", timeout=60) as answer:
        told = json.load(answer)
    assert (told["lastCheckpointStep"], told["saveSeconds"]) == (2, 2.0)
    assert attempt.told("checkpoint")[-1] == {"event": "checkpoint", "step": 3, "saveSeconds": 2.0, "weightsOnly": True}


def test_a_resumed_attempt_says_so_and_cuts_the_metrics_back(start: Start) -> None:
    first = start()
    journal = first.begin()
    for step in (1, 2, 3):
        journal.step(step, np.array([0]), RESULT, 0.0, 0.5)
    journal.close(Outcome.PREEMPTED, "stopped", 3)
    second = start(1)
    second.begin(first=2).step(3, np.array([0]), RESULT, 0.0, 0.5)
    assert [(line["attempt"], line["step"]) for line in second.metrics()] == [(0, 1), (0, 2), (1, 3)]
    assert any(entry["text"] == "resuming after step 2 of 6" for entry in second.told("message"))


def test_metrics_are_durable_when_asked_for_and_everything_is_at_the_end(
    attempt: Attempt, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk().install(monkeypatch)
    journal = attempt.begin()
    journal.step(1, np.arange(4), RESULT, 1e-3, 2.0)
    journal.sync()
    assert disk.lost(attempt.output) == []
    journal.step(2, np.arange(4), RESULT, 1e-3, 2.0)
    journal.close(Outcome.SUCCEEDED, "done", 2)
    assert disk.lost(attempt.output) == []


def test_metrics_that_cannot_be_made_durable_do_not_hide_how_the_attempt_ended(
    attempt: Attempt, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = attempt.begin()

    def fail(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    journal.close(Outcome.SUCCEEDED, "done", 0)
    assert "the last metrics may be lost: [Errno 5]" in capsys.readouterr().out


def test_run_json_and_the_report_are_left_at_the_end(attempt: Attempt) -> None:
    journal = attempt.begin()
    journal.step(1, np.array([0]), RESULT, 0.0, 0.5)
    journal.close(Outcome.SUCCEEDED, "trained 6 steps", 6)
    found = attempt.summary()
    assert (found["attempt"], found["job_uid"], found["world_size"], found["device"]) == (0, "job", 1, "cpu")
    assert found["outcome"] == {"outcome": "Succeeded", "message": "trained 6 steps", "step": 6, "exitCode": 0}
    assert found["dataset"]["sha256"] == "abc"
    assert found["config"]["global_train_batch_size"] == 4
    assert {"import", "first_step", "steps", "total"} <= set(found["timings"])
    assert len(found["dataset"]["samples"]) == 3
    assert set(found["dataset"]["samples"][0]) == {"prompt", "response"}
    assert "<html" in (attempt.output / "report.html").read_text()
    assert attempt.told("phase")[-1]["phase"] == "done"


def test_run_json_has_what_a_preflight_saw_of_each_node(attempt: Attempt) -> None:
    attempt.run_dir.write_preflight({"fault": None, "suspects": [], "warnings": [], "nodes": ["node 0: fine"]})
    attempt.begin().close(Outcome.SUCCEEDED, "trained 6 steps", 6)
    assert attempt.summary()["preflight"] == {"nodes": ["node 0: fine"], "warnings": []}


def test_an_attempt_that_never_owned_the_output_writes_nothing_there(attempt: Attempt) -> None:
    attempt.journal.close(Outcome.CONFIG_INVALID, "another job's output", None)
    assert list(attempt.output.iterdir()) == []


def test_an_attempt_that_was_overtaken_leaves_the_summary_alone(
    attempt: Attempt, capsys: pytest.CaptureFixture[str]
) -> None:
    def overtaken() -> None:
        raise Superseded("attempt 1 has taken over")

    attempt.begin()
    attempt.journal.own(ALONE, Fence(0, overtaken))
    attempt.journal.close(Outcome.RETRYABLE, "overtaken", 2)
    assert not (attempt.output / "run.json").exists()
    assert "no summary written: attempt 1 has taken over" in capsys.readouterr().out


def test_an_attempt_that_was_overtaken_while_it_loaded_leaves_the_metrics_alone(start: Start) -> None:
    def overtaken() -> None:
        raise Superseded("attempt 1 has taken over")

    slow, new = start(), start(1)
    slow.journal.own(ALONE, Fence(0, overtaken))
    new.begin().step(1, np.array([0]), RESULT, 0.0, 0.5)
    with pytest.raises(Superseded):
        slow.journal.begin(slow.prepared, slow.timeline, {"train": slow.rows}, slow.tokenizer, 0)
    new.journal.step(2, np.array([0]), RESULT, 0.0, 0.5)
    assert [line["step"] for line in new.metrics()] == [1, 2]


def test_lints_are_told_as_warnings(start: Start) -> None:
    attempt = start(changes={"scheduler": {"name": "cosine_with_warmup", "t_warmup": "100ba"}})
    attempt.begin()
    warnings = [entry["text"] for entry in attempt.told("message") if entry["level"] == "warning"]
    assert any("warmup" in text for text in warnings)


def test_peak_memory_is_that_of_this_process_on_a_machine_without_gpu() -> None:
    assert peak_memory()["peak_memory_bytes"] > 10_000_000
