"""The frame of a plot: its area, grid, ticks and what its axes are called."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup

from recsys.report.scales import Scale, Tick
from recsys.report.svg import line, text


@dataclass(frozen=True)
class Axis:
    """What an axis shows.

    Attributes
    ----------
    label
        What is measured, with its unit.
    log
        Whether equal distances are equal ratios.
    zero
        Whether it starts at 0.
    ticks
        Its ticks, where they are not to be round numbers.
    """

    label: str
    log: bool = False
    zero: bool = False
    ticks: tuple[Tick, ...] = ()


@dataclass(frozen=True)
class Area:
    """Where data is drawn within a drawing, and what it shows.

    Attributes
    ----------
    left, top, right, bottom
        Its edges in the drawing's units; y points down.
    x, y
        What it shows across and upwards.
    """

    left: float
    top: float
    right: float
    bottom: float
    x: Scale
    y: Scale

    def across(self, value: float) -> float:
        """Return a value's place from the left."""
        return self.left + self.x(value) * (self.right - self.left)

    def down(self, value: float) -> float:
        """Return a value's place from the top."""
        return self.bottom - self.y(value) * (self.bottom - self.top)


def x_axis(area: Area, axis: Axis, *, grid: bool) -> Iterable[Markup]:
    """Yield the ticks beneath an area and the axis' label under them."""
    for value, label in axis.ticks or area.x.ticks(_room(area.right - area.left, 62)):
        x = area.across(value)
        yield line(x, area.top if grid else area.bottom, x, area.bottom + 4, "grid")
        yield text(x, area.bottom + 14, label, anchor="middle", class_="tick")
    yield line(area.left, area.bottom, area.right, area.bottom, "axis")
    middle = (area.left + area.right) / 2
    yield text(middle, area.bottom + 34, axis.label, anchor="middle", class_="name")


def y_axis(area: Area, axis: Axis) -> Iterable[Markup]:
    """Yield the grid of an area with ticks at its left, and the axis' label above them."""
    for value, label in axis.ticks or area.y.ticks(_room(area.bottom - area.top, 42)):
        y = area.down(value)
        yield line(area.left, y, area.right, y, "grid")
        yield text(area.left - 7, y, label, anchor="end", class_="tick")
    yield text(2, 9, axis.label, class_="name")


def _room(length: float, each: float) -> int:
    return max(2, int(length / each))
