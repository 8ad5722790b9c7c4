import json
import math
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from finetune_trainer.report import duration, write_report

RUN: dict[str, Any] = {
    "config": {
        "run_name": "arc-easy",
        "max_seq_len": 256,
        "optimizer": {"name": "decoupled_adamw", "lr": 6e-4},
    },
    "dataset": {
        "sha256": "c0ffee",
        "splits": {
            "train": {
                "rows": 98,
                "source_rows": 100,
                "tokens": 6266,
                "loss_tokens": 681,
                "longest": 98,
                "dropped": {"EmptyResponse": {"count": 2, "first_file": "train.jsonl", "first_row": 17}},
                "length_histogram": {"edges": [40, 60, 80], "counts": [58, 40]},
            }
        },
        "samples": [{"prompt": "Which part drinks?\nAnswer: ", "response": "the roots"}],
    },
    "versions": {"torch": "2.13.0"},
    "device": "cpu",
    "world_size": 2,
    "timings": {"import": 4.0, "steps": 12.0, "total": 75.0},
    "outcome": {"outcome": "Succeeded", "message": "", "exitCode": 0},
    "attempt": 0,
    "job_uid": "1234",
}


class _Page(HTMLParser):
    """Collects what a browser would show and what it would fetch."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.fetched: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.fetched += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data")]

    def handle_data(self, data: str) -> None:
        self.text += data


def _report(directory: Path, run: dict[str, Any], metrics: list[dict[str, Any]] | None = None) -> _Page:
    (directory / "run.json").write_text(json.dumps(run))
    if metrics is not None:
        (directory / "metrics.jsonl").write_text("".join(json.dumps(one) + "\n" for one in metrics))
    return _Page(write_report(directory).read_text(encoding="utf-8"))


def _steps(count: int, **more: Any) -> list[dict[str, Any]]:
    return [
        {"attempt": 0, "step": k, "loss": 3.0 / k, "lr": 1e-4, "tokens": 500, "tokens_per_second": 800.0} | more
        for k in range(1, count + 1)
    ]


def test_a_finished_run_is_shown_with_its_numbers(tmp_path: Path) -> None:
    evaluation = {"event": "eval", "label": "unseen", "step": 12, "loss": 4.25, "perplexity": 70.1}
    page = _report(tmp_path, RUN, [*_steps(12), evaluation])
    for shown in ("arc-easy", "Succeeded", "0.25", "last loss on unseen", "4.25", "6,000", "1 min 15 s"):
        assert shown in page.text
    for shown in ("10.9 %", "EmptyResponse", "train.jsonl", "row 17", "c0ffee", "the roots", "lr: 0.0006"):
        assert shown in page.text
    assert page.tags.count("svg") == 4


def test_the_page_fetches_nothing_and_runs_nothing(tmp_path: Path) -> None:
    page = _report(tmp_path, RUN, _steps(3))
    assert page.fetched == []
    assert "script" not in page.tags
    assert "link" not in page.tags


def test_whatever_comes_from_the_run_is_escaped(tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script><img src=x>"
    run = RUN | {
        "config": {"run_name": hostile},
        "dataset": {"splits": {hostile: {"rows": 1}}, "samples": [{"prompt": hostile, "response": hostile}]},
        "outcome": {"outcome": hostile, "message": hostile, "traceback": hostile},
        "versions": {hostile: hostile},
    }
    page = _report(tmp_path, run, [{"event": "eval", "label": hostile, "step": 1, "loss": 1.0}])
    assert not {"script", "img"} & set(page.tags)
    assert page.text.count(hostile) >= 8


def test_a_failed_run_says_why_where_and_at_which_step(tmp_path: Path) -> None:
    outcome = {
        "outcome": "Diverged",
        "message": "The loss is not finite.",
        "step": 7,
        "rank": 1,
        "exitCode": 7,
    }
    page = _report(tmp_path, RUN | {"outcome": outcome}, [*_steps(6), {"step": 7, "loss": math.nan, "lr": 1e-4}])
    assert "Diverged" in page.text
    assert "The loss is not finite." in page.text
    assert "(step 7, rank 1)" in " ".join(page.text.split())


def test_a_run_that_has_only_begun_has_a_report_too(tmp_path: Path) -> None:
    page = _report(tmp_path, {"config": None, "outcome": None})
    assert "Running" in page.text
    assert "nothing was recorded" in page.text


def test_a_line_cut_short_by_a_kill_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text(json.dumps(_steps(1)[0]) + '\n{"step": 2, "lo')
    (tmp_path / "run.json").write_text(json.dumps(RUN))
    assert "first loss" in write_report(tmp_path).read_text()


def test_a_long_run_is_smoothed_and_stays_a_small_page(tmp_path: Path) -> None:
    page = _report(tmp_path, RUN, _steps(20_000))
    assert "training, smoothed" in page.text
    assert (tmp_path / "report.html").stat().st_size < 200_000


def test_a_resumed_run_marks_where_the_next_attempt_began(tmp_path: Path) -> None:
    later = [one | {"attempt": 1} for one in _steps(8)[4:]]
    assert "attempt 1" in _report(tmp_path, RUN, [*_steps(4), *later]).text


def test_secrets_of_the_configuration_are_hidden(tmp_path: Path) -> None:
    config = {
        "model": {"use_auth_token": "hf_private"},
        "train_loader": {"hf_kwargs": {"token": "hf_private"}},
    }
    page = _report(tmp_path, RUN | {"config": config})
    assert "hf_private" not in page.text
    assert page.text.count("(hidden)") == 2


def test_a_very_long_sample_is_cut_and_says_so(tmp_path: Path) -> None:
    samples = {"samples": [{"prompt": "word " * 2000, "response": "x"}]}
    assert "(10,000 characters)" in _report(tmp_path, RUN | {"dataset": samples}).text


def test_writing_again_replaces_the_page_and_leaves_nothing_else(tmp_path: Path) -> None:
    _report(tmp_path, RUN)
    _report(tmp_path, RUN | {"outcome": {"outcome": "Preempted"}})
    assert "Preempted" in (tmp_path / "report.html").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "run.json"]


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.42, "0.42 s"), (59.9, "59.9 s"), (59.97, "1 min 00 s"), (185, "3 min 05 s"), (7620, "2 h 07 min")],
)
def test_durations_read_as_people_say_them(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown
