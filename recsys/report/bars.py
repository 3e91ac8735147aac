"""Bars with intervals, lying, so that long names have room on a phone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from recsys.report.axes import Area, Axis, x_axis
from recsys.report.scales import Scale
from recsys.report.svg import colour, fitted, image, line, tag, text, text_width

_ROW, _HEADING, _BAR = 26, 30, 16


@dataclass(frozen=True)
class Bar:
    """A value with a name.

    Attributes
    ----------
    label
        Whose it is.
    value, shown
        Its length, and the number as it is written at its end.
    series
        Which colour it has.
    interval
        How sure the value is: low and high.
    """

    label: str
    value: float
    shown: str
    series: int
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class BarPlot:
    """Groups of bars on one axis that starts at 0.

    Attributes
    ----------
    title, description
        What it is and what it shows, for who cannot see it.
    axis
        What the bars measure.
    groups
        Headings (empty for none) and their bars.
    """

    title: str
    description: str
    axis: Axis
    groups: tuple[tuple[str, tuple[Bar, ...]], ...]

    def draw(self, width: int, name: str) -> Markup:
        """Return the plot as an SVG of this width; `name` is the prefix of its ids."""
        bars = [bar for _, group in self.groups for bar in group]
        names = min(max((text_width(bar.label) for bar in bars), default=0), width * 0.3)
        ends = [end for bar in bars for end in (bar.value, *(bar.interval or ()))]
        values = max((text_width(bar.shown) for bar in bars), default=0)
        height = 8 + sum(_HEADING * bool(title) + _ROW * len(group) for title, group in self.groups)
        scale = Scale.around(ends, zero=True, margin=0)
        area = Area(names + 12, 4, width - values - 14, height, scale, Scale(0, 1))
        return image(
            *x_axis(area, self.axis, grid=True),
            *self._rows(area, names, width - 4),
            width=width,
            height=height + 44,
            title=self.title,
            description=self.description,
            name=name,
        )

    def _rows(self, area: Area, names: float, room: float) -> Iterator[Markup]:
        y = area.top + 4.0
        for title, group in self.groups:
            if title:
                yield text(2, y + _HEADING / 2, fitted(title, room, bold=True), class_="group")
                y += _HEADING
            for bar in group:
                yield _bar(bar, area, y + _ROW / 2, fitted(bar.label, names))
                y += _ROW


def _bar(bar: Bar, area: Area, y: float, label: str) -> Markup:
    start, end = sorted((area.across(0), area.across(bar.value)))
    parts = [
        tag("title", f"{bar.label}: {bar.shown}"),
        text(area.left - 10, y, label, anchor="end"),
        tag("rect", x=start, y=y - _BAR / 2, width=end - start, height=_BAR, rx=2,
            class_=f"bar {colour(bar.series)}"),
    ]  # fmt: skip
    if bar.interval is not None:
        low, high = (area.across(bound) for bound in bar.interval)
        parts += _whisker(low, high, y)
        end = max(end, high)
    return tag("g", *parts, text(end + 7, y, bar.shown, class_="value"))


def _whisker(low: float, high: float, y: float) -> Sequence[Markup]:
    return [
        line(low, y, high, y, "whisker"),
        line(low, y - 4, low, y + 4, "whisker"),
        line(high, y - 4, high, y + 4, "whisker"),
    ]
