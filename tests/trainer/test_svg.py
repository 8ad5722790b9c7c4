import itertools
import math
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_trainer.svg import Frame, Series, bar_chart, line_chart, number, smooth, thin, ticks


def _texts(chart: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(chart).iter("text")]


@given(low=st.floats(-1e6, 1e6), span=st.floats(1e-3, 1e6))
def test_ticks_are_evenly_spaced_and_enclose_the_values(low: float, span: float) -> None:
    levels = ticks(low, low + span)
    gaps = [after - before for before, after in itertools.pairwise(levels)]
    assert levels[0] <= low + 1e-6 * span
    assert levels[-1] >= low + span - 1e-6 * span
    assert max(gaps) - min(gaps) < 1e-6 * max(gaps) + 1e-6
    assert 2 <= len(levels) <= 9


@pytest.mark.parametrize("value", [0.0, 2.5, -3.0])
def test_a_constant_value_still_has_an_axis(value: float) -> None:
    levels = ticks(value, value)
    assert levels[0] <= value <= levels[-1]
    assert levels[0] < levels[-1]


def test_a_frame_puts_the_larger_value_higher_up_and_the_later_one_further_right() -> None:
    frame = Frame(0, 10, 0, 1)
    assert frame.y(1) < frame.y(0)
    assert frame.x(10) > frame.x(0)


def test_a_curve_passes_through_its_points_in_order() -> None:
    chart = ET.fromstring(line_chart([Series("loss", [(1, 3.0), (2, 2.0), (3, 1.0)])], title="t", x_label="step"))
    [curve] = chart.findall("polyline")
    places = [tuple(map(float, point.split(","))) for point in curve.attrib["points"].split()]
    assert [x for x, _ in places] == sorted(x for x, _ in places)
    assert [y for _, y in places] == sorted(y for _, y in places)


def test_values_that_are_not_finite_are_left_out() -> None:
    chart = line_chart([Series("loss", [(1, 2.0), (2, math.nan), (3, math.inf)])], title="t", x_label="step")
    assert "nan" not in chart
    assert "inf" not in chart


def test_a_chart_without_points_says_so() -> None:
    assert _texts(line_chart([Series("loss", [])], title="t", x_label="step")) == ["nothing was recorded"]
    assert _texts(bar_chart([], [], title="t", x_label="tokens")) == ["nothing was recorded"]


def test_labels_are_escaped() -> None:
    chart = line_chart(
        [Series("<i>", [(0, 1.0), (1, 2.0)], dots=True)],
        title='"><script>',
        x_label="<b>",
        marks=[(1, "<u>")],
    )
    assert "<script>" not in chart
    assert not {"<i>", "<b>", "<u>"} & {text for text in ("<i>", "<b>", "<u>") if text in chart}
    assert "<b>" in _texts(chart)


def test_a_faint_series_is_drawn_behind_the_others() -> None:
    points = [(0.0, 1.0), (1.0, 2.0)]
    chart = line_chart([Series("a", points), Series("b", points, 1, faint=True)], title="t", x_label="x")
    classes = [curve.attrib["class"] for curve in ET.fromstring(chart).findall("polyline")]
    assert classes == ["line s1 faint", "line s0"]


def test_each_bar_says_what_it_counts() -> None:
    chart = ET.fromstring(bar_chart([10, 20, 30], [4, 8], title="t", x_label="tokens"))
    bars = chart.findall("rect")
    assert [bar.findtext("title") for bar in bars] == ["10 to 19 tokens: 4 rows", "20 to 29 tokens: 8 rows"]
    assert float(bars[1].attrib["height"]) == pytest.approx(2 * float(bars[0].attrib["height"]), abs=0.2)


def test_thinning_keeps_short_curves_and_the_mean_of_long_ones() -> None:
    short = [(float(i), float(i)) for i in range(10)]
    assert thin(short, most=10) == short
    long = [(float(i), 1.0 if i % 2 else 3.0) for i in range(1000)]
    kept = thin(long, most=100)
    assert len(kept) == 100
    assert all(y == 2.0 for _, y in kept)


def test_smoothing_does_not_lag_behind_a_straight_line() -> None:
    line = [(float(i), 10.0 - i) for i in range(9)]
    assert [y for _, y in smooth(line, 5)] == pytest.approx([y for _, y in line])


@pytest.mark.parametrize(("value", "shown"), [(0.0006, "0.0006"), (3.14159, "3.142"), (12345.6, "12,346"), (0, "0")])
def test_numbers_are_short(value: float, shown: str) -> None:
    assert number(value) == shown
