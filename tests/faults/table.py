"""The matrix as people read it."""

from collections.abc import Sequence
from typing import Final

from faults.record import Result

_HEAD: Final = ("fault", "detected after", "recovered after", "steps lost", "cause", "result")


def table(results: Sequence[Result]) -> str:
    """Return a Markdown table, a row for each case, and what was wrong below it."""
    rows = [_HEAD, *(_row(result) for result in results)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    wrong = [f"{result.record.case}: {'; '.join(result.complaints)}" for result in results if result.complaints]
    return "\n".join([*lines, *([""] if wrong else []), *wrong])


def summary(results: Sequence[Result]) -> str:
    """Return the sums in a sentence."""
    right = sum(not result.complaints for result in results)
    compared = [result.same for result in results if result.same is not None]
    return (
        f"{right} of {len(results)} causes right; "
        f"{sum(compared)} of {len(compared)} results as those of the undisturbed runs"
    )


def _row(result: Result) -> tuple[str, ...]:
    found = result.found
    cause = f"{found.outcome or 'none'}/{found.reason}".rstrip("/")
    return (
        result.record.case,
        _seconds(found.detected) + ("" if found.ran is None else f" (ran {_seconds(found.ran)})"),
        _seconds(found.recovered),
        "-" if found.lost is None else str(found.lost),
        cause if not result.complaints else f"WRONG: {cause}",
        _likeness(result),
    )


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"


def _likeness(result: Result) -> str:
    difference = result.found.difference
    if result.same is None:
        return "-"
    if difference is None:
        return "NONE"
    text = "identical" if difference == 0 else f"within {difference:.0e}"
    return text if result.same else f"DIFFERENT: {text}"
