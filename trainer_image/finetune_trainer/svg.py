"""Charts as inline SVG: pure functions from numbers to markup, coloured by the page's own style sheet.

Class names are the seam: `grid`, `axis`, `line`, `dot`, `bar`, `mark`, and `s0`, `s1`, … for the colours.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

from markupsafe import Markup, escape

Point = tuple[float, float]
Size = tuple[int, int]
"""Width and height in the drawing's own units, about a pixel each."""

NARROW: Size = (560, 260)
WIDE: Size = (1100, 380)
LEFT, RIGHT, TOP, BOTTOM = 60, 14, 12, 40
MOST_POINTS = 800
MOST_DOTS = 60


@dataclass(frozen=True)
class Series:
    """A named curve; `dots` also marks its points, `faint` draws it behind the others."""

    label: str
    points: Sequence[Point]
    colour: int = 0
    dots: bool = False
    faint: bool = False


@dataclass(frozen=True)
class Frame:
    """The plotted range of values and how it maps to a drawing of this size."""

    x_low: float
    x_high: float
    y_low: float
    y_high: float
    size: Size = NARROW

    @property
    def bottom(self) -> int:
        """Where the horizontal axis lies."""
        return self.size[1] - BOTTOM

    def x(self, value: float) -> float:
        """Return the horizontal position of a value."""
        return LEFT + (value - self.x_low) / (self.x_high - self.x_low) * (self.size[0] - LEFT - RIGHT)

    def y(self, value: float) -> float:
        """Return the vertical position of a value; larger values are higher up."""
        return self.bottom - (value - self.y_low) / (self.y_high - self.y_low) * (self.bottom - TOP)


def number(value: float) -> str:
    """Return a number as people write it on an axis: 4 significant digits, no trailing zeros."""
    return f"{value:.4g}" if abs(value) < 1e4 or abs(value) >= 1e15 else f"{value:,.0f}"


def line_chart(
    series: Sequence[Series],
    *,
    title: str,
    x_label: str,
    marks: Sequence[tuple[float, str]] = (),
    from_zero: bool = False,
    size: Size = NARROW,
) -> Markup:
    """Draw the series over one pair of axes; points that are not finite are left out.

    `marks` are vertical lines with a word each. Without a single point the chart says so.
    """
    clean = [replace(one, points=thin(_finite(one.points))) for one in series]
    points = [point for one in clean for point in one.points]
    if not points:
        return _empty(title, size)
    frame = _frame(points, from_zero, size)
    parts = [*_axes(frame, x_label), *(_mark(frame, *mark) for mark in marks)]
    parts += [_curve(frame, one) for one in sorted(clean, key=lambda one: not one.faint) if one.points]
    return _svg(title, parts, size)


def bar_chart(
    edges: Sequence[float], counts: Sequence[int], *, title: str, x_label: str, size: Size = NARROW
) -> Markup:
    """Draw a histogram; bar i counts what lies from `edges[i]` up to, not including, `edges[i + 1]`."""
    if not counts or len(edges) != len(counts) + 1 or not max(counts):
        return _empty(title, size)
    frame = Frame(edges[0], edges[-1], 0.0, ticks(0, max(counts))[-1], size)
    parts = _axes(frame, x_label)
    for (low, high), count in zip(pairwise(edges), counts, strict=True):
        left, right, top = frame.x(low), frame.x(high), frame.y(count)
        shape = f'x="{left + 0.5:.1f}" y="{top:.1f}" width="{max(right - left - 1, 0.5):.1f}"'
        tip = f"<title>{number(low)} to {number(high - 1)} tokens: {count} rows</title>"
        parts.append(f'<rect class="bar" {shape} height="{frame.y(0) - top:.1f}">{tip}</rect>')
    return _svg(title, parts, size)


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Return round numbers, evenly spaced, of which the first is ≤ low and the last is ≥ high."""
    span = high - low or abs(high) or 1.0
    rough = span / about
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * magnitude for factor in (1, 2, 2.5, 5, 10) if factor * magnitude >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [float(f"{index * step:.12g}") for index in range(first, max(last, first + 1) + 1)]


def thin(points: Sequence[Point], most: int = MOST_POINTS) -> list[Point]:
    """Return at most `most` points, each the mean of its neighbours: a long run stays a small page."""
    if len(points) <= most:
        return list(points)
    cuts = [round(index * len(points) / most) for index in range(most + 1)]
    return [_mean(points[low:high]) for low, high in pairwise(cuts)]


def smooth(points: Sequence[Point], window: int) -> list[Point]:
    """Return the mean over `window` points around each point, over fewer, evenly, near both ends."""
    clean = _finite(points)
    sums = list(accumulate((y for _, y in clean), initial=0.0))
    averaged = []
    for index, (x, _) in enumerate(clean):
        reach = min(window // 2, index, len(clean) - 1 - index)  # the same on both sides: no lag behind a trend
        low, high = index - reach, index + reach + 1
        averaged.append((x, (sums[high] - sums[low]) / (high - low)))
    return averaged


def _mean(points: Sequence[Point]) -> Point:
    return sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points)


def _finite(points: Sequence[Point]) -> list[Point]:
    return [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]


def _frame(points: Sequence[Point], from_zero: bool, size: Size) -> Frame:
    xs, ys = [x for x, _ in points], [y for _, y in points]
    levels = ticks(min(0.0, *ys) if from_zero else min(ys), max(ys))
    span = max(xs) - min(xs) or 1.0
    return Frame(min(xs), min(xs) + span, levels[0], levels[-1], size)


def _axes(frame: Frame, x_label: str) -> list[str]:
    right = frame.size[0] - RIGHT
    parts = []
    for level in ticks(frame.y_low, frame.y_high):
        y = frame.y(level)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="axis" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{number(level)}</text>')
    for value in ticks(frame.x_low, frame.x_high, about=7):
        if frame.x_low <= value <= frame.x_high:
            place = f'x="{frame.x(value):.1f}" y="{frame.bottom + 17}"'
            parts.append(f'<text class="axis" {place} text-anchor="middle">{number(value)}</text>')
    place = f'x="{(LEFT + right) / 2}" y="{frame.size[1] - 6}"'
    parts.append(f'<text class="axis" {place} text-anchor="middle">{escape(x_label)}</text>')
    return parts


def _curve(frame: Frame, series: Series) -> str:
    places = [(frame.x(x), frame.y(y)) for x, y in series.points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    faint = " faint" if series.faint else ""
    curve = f'<polyline class="line s{series.colour}{faint}" points="{path}"/>'
    if not series.dots or len(places) > MOST_DOTS:
        return curve
    return curve + "".join(
        f'<circle class="dot s{series.colour}" cx="{x:.1f}" cy="{y:.1f}" r="3">'
        f"<title>{escape(series.label)} {number(point[1])} at {number(point[0])}</title></circle>"
        for (x, y), point in zip(places, series.points, strict=True)
    )


def _mark(frame: Frame, value: float, word: str) -> str:
    x = frame.x(value)
    return (
        f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{frame.bottom}"/>'
        f'<text class="axis" x="{x + 4:.1f}" y="{TOP + 10}">{escape(word)}</text>'
    )


def _empty(title: str, size: Size) -> Markup:
    place = f'x="{size[0] / 2}" y="{size[1] / 2}" text-anchor="middle"'
    return _svg(title, [f'<text class="axis" {place}>nothing was recorded</text>'], size)


def _svg(title: str, parts: Sequence[str], size: Size) -> Markup:
    head = f'<svg viewBox="0 0 {size[0]} {size[1]}" role="img" aria-label="{escape(title)}">'
    return Markup("".join([head, *parts, "</svg>"]))  # every part above is ours or escaped
