"""Plots as drawings: well-formed, to scale, legible and safe."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.report import Axis, Bar, BarPlot, LinePlot, Plot, Point, ScatterPlot, Series
from recsys.report.lines import apart
from recsys.report.svg import COLOURS, fitted, mark, text_width

HOSTILE = '<script>alert("1")</script>&\' ÄÖ 木'
WIDTHS = (400, 860)


def bars(label: str = "ease", value: float = 0.5, axis: str = "x") -> BarPlot:
    bar = Bar(label, value, f"{value:.3f}", 0, (value * 0.9, value * 1.1))
    other = Bar("other", 1.0, "1.000", 1)
    return BarPlot(f"T {label}", f"D {label}", Axis(axis), ((label, (bar, other)),))


def lines(label: str = "ease", *, n: int = 3, axis: str = "x") -> LinePlot:
    series = tuple(Series(f"{label}{i}", ((1.0, 0.1), (10.0, 0.2 + i / 1000)), i) for i in range(n))
    return LinePlot(f"T {label}", label, Axis(axis, log=True), Axis("y"), series, ((5.0, axis),))


def scatter(label: str = "ease", *, n: int = 3, axis: str = "x") -> ScatterPlot:
    points = tuple(Point(f"{label}{i}", 10.0**i, i / n, i, (i / n, i / n + 0.1)) for i in range(n))
    return ScatterPlot(f"T {label}", label, Axis(axis, log=True), Axis("y"), points)


@pytest.mark.parametrize("plot", [draw(HOSTILE, axis=HOSTILE) for draw in (bars, lines, scatter)])
@pytest.mark.parametrize("width", WIDTHS)
def test_plots_are_images_with_words_and_nothing_in_them_is_markup(plot: Plot, width: int) -> None:
    drawn = plot.draw(width, "a-plot")
    root = ET.fromstring(drawn)
    assert (root.get("role"), root.get("aria-labelledby")) == ("img", "a-plot-title a-plot-says")
    titles = {element.get("id"): element.text for element in root}
    assert titles["a-plot-title"] == f"T {HOSTILE}"
    assert HOSTILE in str(titles["a-plot-says"])
    assert "<script" not in drawn
    assert root.get("viewBox", "").startswith(f"0 0 {width} ")


@pytest.mark.parametrize(
    "plot",
    [
        BarPlot("T", "D", Axis("x"), ()),
        LinePlot("T", "D", Axis("x"), Axis("y"), ()),
        LinePlot("T", "D", Axis("x"), Axis("y"), (Series("s", (), 0),)),
        ScatterPlot("T", "D", Axis("x", log=True), Axis("y"), ()),
        lines(n=1),
        lines(n=30),
        scatter(n=1),
        bars(value=0.0),
        bars(value=-2.0),
    ],
)
def test_few_many_none_and_negative_values_are_drawn(plot: Plot) -> None:
    for width in WIDTHS:
        ET.fromstring(plot.draw(width, "p"))


def test_bars_are_as_long_as_their_values() -> None:
    root = ET.fromstring(bars(value=0.25).draw(860, "p"))
    short, full = (float(rect.get("width", 0)) for rect in root.iter("rect"))
    assert short / full == pytest.approx(0.25, abs=0.001)


def test_all_that_is_drawn_lies_within_the_image() -> None:
    for plot, width in itertools.product(
        (
            bars("a long name of a model" * 3),
            lines("a long name" * 4, n=17),
            scatter("name" * 9, n=12),
        ),
        WIDTHS,
    ):
        root = ET.fromstring(plot.draw(width, "p"))
        height = float(root.get("viewBox", "").split()[3])
        for element in root.iter("text"):
            x, y, words = float(element.get("x", 0)), float(element.get("y", 0)), element.text or ""
            bold = element.get("class", "").startswith("end")
            length = text_width(words, bold=bold)
            start = x - length * {"end": 1.0, "middle": 0.5}.get(
                element.get("text-anchor", ""), 0.0
            )
            assert start >= -1, words
            assert start + length <= width + 1, words
            assert 0 <= y <= height


def test_names_of_lines_do_not_overlap() -> None:
    root = ET.fromstring(lines(n=12).draw(400, "p"))
    ends = [float(t.get("y", 0)) for t in root.iter("text") if "end" in t.get("class", "")]
    assert len(ends) == 12
    assert min(b - a for a, b in itertools.pairwise(sorted(ends))) >= 14.8


def test_names_of_points_do_not_cover_each_other() -> None:
    points = tuple(Point(f"model-{i}", 1 + i / 50, 0.3 + i / 500, i) for i in range(5))
    plot = ScatterPlot("T", "D", Axis("x"), Axis("y"), (*points, Point("far", 10, 0.9, 5)))
    boxes = []
    for element in ET.fromstring(plot.draw(400, "p")).iter("text"):
        if "end" in element.get("class", ""):
            x, y = float(element.get("x", 0)), float(element.get("y", 0))
            boxes.append((x, y, x + text_width(element.text or "", bold=True)))
    for (x1, y1, end1), (x2, y2, end2) in itertools.combinations(boxes, 2):
        assert abs(y1 - y2) >= 12 or end1 <= x2 or end2 <= x1


@given(st.lists(st.floats(0, 100), max_size=12), st.floats(1, 8))
def test_moved_apart_places_keep_order_and_distance(places: list[float], least: float) -> None:
    moved = apart(places, least, 0, 100)
    order = sorted(range(len(places)), key=lambda index: places[index])
    for before, after in itertools.pairwise(order):
        assert moved[after] - moved[before] >= least - 1e-6
    assert all(-1e-6 <= place <= 100 + 1e-6 for place in moved)


def test_places_that_lie_apart_stay() -> None:
    assert apart([50.0, 10.0, 30.0], 15, 0, 100) == [50.0, 10.0, 30.0]


def test_series_are_told_apart_by_more_than_colour() -> None:
    shapes = {str(mark(0, 0, series)) for series in range(2 * COLOURS)}
    assert len(shapes) == 2 * COLOURS


@given(st.text(max_size=60), st.floats(20, 300))
def test_fitted_text_has_room(words: str, room: float) -> None:
    shown = fitted(words, room)
    assert shown == words or (text_width(shown) <= room + 12 * 3 and "…" in shown)
    if text_width(words) <= room:
        assert shown == words


@pytest.mark.parametrize("width", WIDTHS)
def test_what_is_compared_with_is_a_named_line_without_marks(width: int) -> None:
    usual = Series(HOSTILE, ((1.0, 0.2), (1000.0, 2.0)), compared=True)
    points = (Point("a", 10.0, 1.0, 0),)
    axes = Axis("x", log=True), Axis("y")
    drawn = [
        ScatterPlot("T", "D", *axes, points, (usual,)).draw(width, "a"),
        LinePlot("T", "D", *axes, (usual, Series("b", ((1.0, 1.0), (9.0, 1.0)), 0))).draw(
            width, "a"
        ),
    ]
    for root in map(ET.fromstring, drawn):
        (course,) = [part for part in root.iter() if "line compared" in part.get("class", "")]
        ends = [float(place.split(",")[0]) for place in course.get("points", "").split()]
        assert 0 < ends[0] < ends[1] < width
        marks = [part for part in root.iter() if part.get("class", "").startswith("mark")]
        assert not [mark for mark in marks if "compared" in mark.get("class", "")]
        (named,) = [group for group in root if course in list(group)]
        assert named[0].text == HOSTILE
