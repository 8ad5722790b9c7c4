"""Lines of text in columns, the same on a terminal and in a pipe but for the colours."""

from collections.abc import Iterable, Sequence
from typing import Final

from rich.text import Text

from finetune_cli.cluster.progress_text import printable

_STYLES: Final = {
    "Running": "cyan",
    "Complete": "green",
    "Succeeded": "green",
    "Failed": "red",
    "Stalled": "red",
    "UserFailure": "red",
    "Failure": "red",
    "Hang": "red",
    "Suspended": "dim",
    "Deleting": "dim",
}


def state_text(word: str) -> Text:
    """A state or an outcome in its colour."""
    return Text(printable(word), _STYLES.get(word, "yellow"))


def text(words: str, style: str = "") -> Text:
    """Words in a style, without control characters."""
    return Text(printable(words), style)


def in_columns(rows: Iterable[Sequence[str | Text]], header: Sequence[str] = ()) -> list[Text]:
    """Return one line for each row, each column as wide as its widest cell; the last is not padded."""
    cells = [[one if isinstance(one, Text) else text(one) for one in row] for row in rows]
    if header:
        cells.insert(0, [Text(word, "bold") for word in header])
    widths = [max(cell.cell_len for cell in column) for column in zip(*cells, strict=True)]
    return [_line(row, widths) for row in cells]


def _line(cells: Sequence[Text], widths: Sequence[int]) -> Text:
    line = Text(no_wrap=True, overflow="ellipsis")
    last = len(cells) - 1
    for place, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        line.append_text(cell)
        if place < last:
            line.append(" " * (width - cell.cell_len + 3))
    line.rstrip()
    return line


def labelled(label: str, lines: Sequence[Text], width: int = 14) -> list[Text]:
    """Put `label` before the first line and move the others below it."""
    made = []
    for number, line in enumerate(lines):
        begin = Text(f"{label if number == 0 else '':<{width}}", "bold", no_wrap=line.no_wrap, overflow=line.overflow)
        made.append(begin.append_text(line))
    return made
