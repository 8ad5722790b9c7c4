"""`report.html`: one page, without scripts or network, that shows what a run did.

It reads `run.json` and `metrics.jsonl` as they are on disk: it can be written again for any run,
finished or not.
"""

import json
import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeGuard

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from finetune_trainer.run_dir import write_atomically
from finetune_trainer.svg import NARROW, WIDE, Point, Series, bar_chart, line_chart, number, smooth

Json = dict[str, Any]

TEMPLATES = Path(__file__).parent / "templates"
PHASES = ("import", "prepare", "load", "first_step", "steps", "eval", "save", "export")
SECRET_WORDS = ("token", "password", "secret", "api_key")
MOST_TEXT = 1500
SMOOTHED_FROM = 40
"""Steps from which a moving average is drawn over the raw training loss."""


@dataclass(frozen=True)
class Metrics:
    """The lines of `metrics.jsonl`: optimizer steps and evaluations, each in file order."""

    steps: list[Json]
    evals: list[Json]

    def curve(self, key: str) -> list[Point]:
        """Return (step, value) for every step that has the key."""
        return [(float(one["step"]), float(one[key])) for one in self.steps if _is_number(one.get(key))]

    def eval_curves(self) -> dict[str, list[Point]]:
        """Return (step, loss) of every evaluation, by label."""
        curves: dict[str, list[Point]] = {}
        for one in self.evals:
            if _is_number(one.get("loss")):
                curves.setdefault(str(one.get("label", "eval")), []).append((float(one["step"]), float(one["loss"])))
        return curves


def write_report(output: Path, write: Callable[[Path, str], None] = write_atomically) -> Path:
    """Write `output/report.html` from `run.json` and, where it exists, `metrics.jsonl`; return its path.

    Raises FileNotFoundError without a `run.json`.
    """
    run: Json = json.loads((output / "run.json").read_text(encoding="utf-8"))
    page = render(run, read_metrics(output / "metrics.jsonl"))
    report = output / "report.html"
    write(report, page)
    return report


def read_metrics(path: Path) -> Metrics:
    """Read `metrics.jsonl`, leaving out what is not a whole record; a missing file is an empty one."""
    records = list(_records(path)) if path.exists() else []
    evals = [one for one in records if one.get("event") == "eval" and _is_number(one.get("step"))]
    steps = [one for one in records if "event" not in one and _is_number(one.get("step"))]
    return Metrics(steps=steps, evals=evals)


def render(run: Mapping[str, Any], metrics: Metrics) -> str:
    """Return the page; everything that comes from the run is escaped."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": _shown, "duration": duration, "cut": _cut}
    config = run.get("config") or {}
    dataset = run.get("dataset") or {}
    return environment.get_template("report.html.j2").render(
        title=config.get("run_name") or "fine-tuning run",
        run=run,
        outcome=run.get("outcome") or {},
        tiles=list(_tiles(run, metrics)),
        charts=_charts(metrics),
        splits=dataset.get("splits") or {},
        histograms=_histograms(dataset),
        samples=dataset.get("samples") or [],
        dataset_hash=dataset.get("sha256"),
        timings=_timings(run.get("timings") or {}),
        facts=_facts(run),
        config=yaml.safe_dump(_without_secrets(config), sort_keys=False, allow_unicode=True),
    )


def duration(seconds: float) -> str:
    """Return seconds as a person says them: `0.42 s`, `12.3 s`, `3 min 05 s`, `2 h 07 min`."""
    if seconds < 1:
        return f"{seconds:.2f} s"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes_of_hour = divmod(minutes, 60)
    return f"{hours} h {minutes_of_hour:02d} min" if hours else f"{minutes} min {rest:02d} s"


def _records(path: Path) -> Iterator[Json]:
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            try:
                record = json.loads(line)
            except ValueError:
                continue  # the last line of a run that was killed while it wrote
            if isinstance(record, dict):
                yield record


def _tiles(run: Mapping[str, Any], metrics: Metrics) -> Iterator[tuple[str, str]]:
    losses, rates = metrics.curve("loss"), metrics.curve("tokens_per_second")
    if losses:
        yield "steps", number(losses[-1][0])
        yield "first loss", number(losses[0][1])
        yield "last loss", number(losses[-1][1])
    for label, points in metrics.eval_curves().items():
        yield f"last loss on {label}", number(points[-1][1])
    tokens = sum(int(one.get("tokens", 0)) for one in metrics.steps)
    if tokens:
        yield "tokens trained on", f"{tokens:,}"
    if rates:
        yield "tokens per second (median)", number(statistics.median(rate for _, rate in rates))
    total = (run.get("timings") or {}).get("total")
    if _is_number(total):
        yield "whole run", duration(total)


def _charts(metrics: Metrics) -> list[tuple[str, Markup, list[tuple[str, int]]]]:
    """Return (heading, chart, legend of name and colour) for each curve of the page."""
    losses = _loss_series(metrics)
    legend = [(one.label, one.colour) for one in losses if not one.faint]
    marks = [(float(step), f"attempt {attempt}") for step, attempt in _new_attempts(metrics.steps)]
    rates = metrics.curve("tokens_per_second")
    return [
        ("Loss", line_chart(losses, title="loss by step", x_label="step", marks=marks, size=WIDE), legend),
        (
            "Learning rate",
            line_chart([Series("lr", metrics.curve("lr"), 2)], title="learning rate by step", x_label="step"),
            [],
        ),
        (
            "Tokens per second",
            line_chart([Series("tokens/s", rates, 3)], title="throughput by step", x_label="step", from_zero=True),
            [],
        ),
    ]


def _loss_series(metrics: Metrics) -> list[Series]:
    raw = metrics.curve("loss")
    if len(raw) >= SMOOTHED_FROM:
        training = [
            Series("each step", raw, 0, faint=True),
            Series("training, smoothed", smooth(raw, len(raw) // 20)),
        ]
    else:
        training = [Series("training", raw, 0, dots=True)]
    colours = (1, 4, 5)
    return training + [
        Series(label, points, colours[index % len(colours)], dots=True)
        for index, (label, points) in enumerate(metrics.eval_curves().items())
    ]


def _new_attempts(steps: Sequence[Json]) -> Iterator[tuple[int, int]]:
    for before, after in pairwise(steps):
        if after.get("attempt") != before.get("attempt"):
            yield after["step"], after.get("attempt", 0)


def _histograms(dataset: Mapping[str, Any]) -> dict[str, Markup]:
    splits = dataset.get("splits") or {}
    bars = {name: split["length_histogram"] for name, split in splits.items() if split.get("length_histogram")}
    size = WIDE if len(bars) == 1 else NARROW
    return {
        name: bar_chart(of["edges"], of["counts"], title=f"row lengths of {name}", x_label="tokens per row", size=size)
        for name, of in bars.items()
    }


def _timings(timings: Mapping[str, Any]) -> list[tuple[str, float, float]]:
    """Return (phase, seconds, percent of their sum) in the order in which a run goes through them."""
    known = [(phase, float(timings[phase])) for phase in PHASES if _is_number(timings.get(phase))]
    whole = sum(seconds for _, seconds in known) or 1.0
    return [(phase.replace("_", " "), seconds, 100 * seconds / whole) for phase, seconds in known]


def _facts(run: Mapping[str, Any]) -> list[tuple[str, str]]:
    facts = [(key.replace("_", " "), run.get(key)) for key in ("device", "world_size", "attempt", "job_uid")]
    facts += list((run.get("versions") or {}).items())
    return [(name, str(value)) for name, value in facts if value is not None]


def _without_secrets(value: Any, key: str = "") -> Any:
    if isinstance(value, Mapping):
        return {name: _without_secrets(inner, str(name)) for name, inner in value.items()}
    if isinstance(value, list):
        return [_without_secrets(inner, key) for inner in value]
    secret = isinstance(value, str) and any(key.endswith(word) for word in SECRET_WORDS)
    return "(hidden)" if secret else value


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: object) -> str:
    if isinstance(value, float):
        return number(value) if math.isfinite(value) else str(value)
    return f"{value:,}" if isinstance(value, int) else str(value)


def _cut(text: object) -> str:
    shown = str(text)
    return shown if len(shown) <= MOST_TEXT else f"{shown[:MOST_TEXT]} … ({len(shown):,} characters)"
