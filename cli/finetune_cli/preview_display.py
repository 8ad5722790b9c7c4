"""Rows, counts and lengths of a dataset on a terminal."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from finetune_trainer.data.preview import Preview, PreviewRow, PreviewSummary

_BUCKETS = 8
_BAR = 40


def show(preview: "Preview", console: Console | None = None) -> None:
    """Print the rows of a preview, then the totals of the whole split."""
    out = console or Console(highlight=False)
    for row in preview:
        out.print(_row(row))
    out.print(_totals(preview.summary()))


def _row(row: "PreviewRow") -> RenderableType:
    place = row.file if row.line is None else f"{row.file}:{row.line}"
    title = f"row {row.row} · {place}"
    if row.dropped is not None:
        return Panel(Text(f"dropped: {row.dropped}", style="yellow"), title=title, title_align="left")
    text = Text()
    for piece, is_target in row.segments:
        text.append(piece, style="bold green" if is_target else "dim")
    counts = f"{len(row.input_ids)} tokens, {row.loss_tokens} of them targets"
    return Panel(text, title=title, title_align="left", subtitle=counts, subtitle_align="left")


def _totals(summary: "PreviewSummary") -> RenderableType:
    head = (
        f"{summary.rows} of {summary.source_rows} rows, {summary.tokens} tokens, "
        f"{summary.loss_tokens} of them targets (green); {summary.truncated} truncated"
    )
    dropped = [
        Text(f"dropped {drop.count}: {reason}; the first is {drop.first_file} row {drop.first_row}", "yellow")
        for reason, drop in summary.dropped.items()
    ]
    return Group(Text(head, "bold"), *dropped, _histogram(summary.lengths))


def _histogram(lengths: tuple[int, ...]) -> RenderableType:
    table = Table("tokens", "rows", "", box=None, title="row lengths", title_justify="left")
    for low, high, count, share in buckets(lengths):
        table.add_row(f"{low}-{high}", str(count), "█" * max(1 if count else 0, round(share * _BAR)))
    return table if lengths else Text("no row is left", "red")


def buckets(lengths: tuple[int, ...]) -> Iterator[tuple[int, int, int, float]]:
    """Yield (shortest, longest, rows, share of the fullest) for a few equal ranges of length in tokens."""
    if not lengths:
        return
    low, width = min(lengths), max(1, -(-(max(lengths) - min(lengths) + 1) // _BUCKETS))
    counts = [0] * _BUCKETS
    for length in lengths:
        counts[(length - low) // width] += 1
    used = max(index for index, count in enumerate(counts) if count) + 1
    for index, count in enumerate(counts[:used]):
        start = low + index * width
        yield start, start + width - 1, count, count / max(counts)
