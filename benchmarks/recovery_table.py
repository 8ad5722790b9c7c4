"""Writes the figures of faults and contenders as a table for people."""

from collections.abc import Mapping, Sequence

from benchmarks.recovery_clock import Figures

Found = Mapping[str, Mapping[str, Figures]]
"""By the fault's name, then by the contender's."""

_HEADS = (
    *("fault", "who", "recovery", "slowest", "bound", "kept", "recorded after", "steps lost", "a start takes"),
    "recorded as",
)


_UNEVEN = 3.0
"""Seconds by which two starts of one run may differ before that says more of the machine than of the fault."""


def table(found: Found, bounds: Mapping[str, str]) -> str:
    """Return the table, a line for each fault and contender, and below it where the seconds went."""
    rows = [
        (name, *_cells(contender, figures, bounds[name]))
        for name, contenders in found.items()
        for contender, figures in contenders.items()
    ]
    return "\n".join([*_columns([_HEADS, *rows]), "", *_parts(found), *_notes(found)])


def _cells(contender: str, figures: Figures, bound: str) -> tuple[str, ...]:
    if contender == "ours":
        told = f"{bound} (= {figures.allowance:g} s)" if bound != f"{figures.allowance:g} s" else bound
        kept = "yes" if figures.kept == figures.samples else f"{figures.kept} of {figures.samples}"
    else:
        told, kept = "", ""
    return (
        contender,
        f"> {figures.at_least:.0f} s" if figures.recovery is None else f"{figures.recovery:.1f} s",
        _seconds(figures.worst),
        told,
        kept,
        _seconds(figures.detected_after),
        "-" if figures.steps_lost is None else str(figures.steps_lost),
        f"{figures.undisturbed:.1f} s" if figures.undisturbed else "-",
        ", ".join(figures.causes) or "-",
    )


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _parts(found: Found) -> list[str]:
    lines = []
    for name, contenders in found.items():
        for contender, figures in contenders.items():
            if figures.parts and figures.undisturbed:
                recorded, replaced, start = figures.parts
                words = f"{recorded:.1f} s until recorded, {replaced:.1f} s to the first pod, start {start:+.1f} s"
                since = f" (from {figures.origin_after:.1f} s after the fault)" if figures.origin_after else ""
                lines.append(f"{name}, {contender}{since}: {words}")
    return lines


def _notes(found: Found) -> list[str]:
    """Whoever drains saves as it leaves, so that only a run that lost steps should have begun where the other did."""
    every = [(f"{name}, {who}", figures) for name, each in found.items() for who, figures in each.items()]
    late = [name for name, figures in every if figures.steps_lost and not figures.same_checkpoint]
    uneven = [name for name, figures in every if figures.parts and abs(figures.parts[2]) > _UNEVEN]
    lines = [f"not from the same checkpoint as the undisturbed resume: {'; '.join(late)}"] if late else []
    return lines + ([f"the machine was not quiet, starts differ; measure again: {'; '.join(uneven)}"] if uneven else [])


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"
