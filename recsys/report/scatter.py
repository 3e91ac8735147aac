"""Named points: one thing measured against another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from recsys.report.axes import Area, Axis, x_axis, y_axis
from recsys.report.lines import Series, course
from recsys.report.scales import Scale
from recsys.report.svg import TEXT, colour, fitted, image, line, mark, tag, text, text_width

Box = tuple[float, float, float, float]
"""Left, top, right and bottom."""

_RADIUS = 5.5
_GAP = _RADIUS + 4
_SHIFTS = (0.0, *(sign * step for step in range(6, 67, 4) for sign in (-1.0, 1.0)))
_FAR = 21  # a name further up or down than this is joined to its point


@dataclass(frozen=True)
class Point:
    """A named point.

    Attributes
    ----------
    label
        What it is called.
    x, y
        What was measured.
    series
        Which colour and mark it has.
    interval
        How sure y is: low and high.
    """

    label: str
    x: float
    y: float
    series: int
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class ScatterPlot:
    """Named points.

    Attributes
    ----------
    title, description
        What it is and what it shows, for who cannot see it.
    x, y
        Its axes.
    points
        What is drawn.
    lines
        What the points are compared with; each says what it is when pointed at.
    """

    title: str
    description: str
    x: Axis
    y: Axis
    points: tuple[Point, ...]
    lines: tuple[Series, ...] = ()

    def draw(self, width: int, name: str) -> Markup:
        """Return the plot as an SVG of this width; `name` is the prefix of its ids."""
        height = max(width * 0.4, 280)
        heights = [y for point in self.points for y in (point.y, *(point.interval or ()))]
        places = [place for line in self.lines for place in line.points]
        area = Area(
            left=46,
            top=30,
            right=width - 12,
            bottom=height - 46,
            x=Scale.around(
                [point.x for point in self.points] + [x for x, _ in places],
                log=self.x.log,
                zero=self.x.zero,
                margin=0.08,
            ),
            y=Scale.around(
                heights + [y for _, y in places], log=self.y.log, zero=self.y.zero, margin=0.08
            ),
        )
        return image(
            *y_axis(area, self.y),
            *x_axis(area, self.x, grid=True),
            *(course(line, area) for line in self.lines),
            *(_whisker(point, area) for point in self.points if point.interval),
            *(_drawn(point, area) for point in self.points),
            *_labels(self.points, area),
            width=width,
            height=height,
            title=self.title,
            description=self.description,
            name=name,
        )


def _whisker(point: Point, area: Area) -> Markup:
    low, high = (area.down(bound) for bound in point.interval or (point.y, point.y))
    x = area.across(point.x)
    return line(x, low, x, high, f"interval {colour(point.series)}")


def _drawn(point: Point, area: Area) -> Markup:
    return tag(
        "g",
        tag("title", point.label),
        mark(area.across(point.x), area.down(point.y), point.series, _RADIUS),
    )


def _labels(points: Sequence[Point], area: Area) -> Iterator[Markup]:
    """Yield each point's name beside it, where it covers least of the other points and names."""
    centres = [(area.across(point.x), area.down(point.y)) for point in points]
    taken: list[Box] = [(x - _RADIUS, y - _RADIUS, x + _RADIUS, y + _RADIUS) for x, y in centres]
    for point, (x, y) in zip(points, centres, strict=True):
        words = fitted(point.label, (area.right - area.left) * 0.4, bold=True)
        boxes = list(_around(x, y, text_width(words, bold=True)))
        box = min(boxes, key=lambda box: _cost(box, taken, area))  # the first of equals
        taken.append(box)
        middle = (box[1] + box[3]) / 2
        if abs(middle - y) > _FAR:
            yield line(x, y, min(max(x, box[0]), box[2]), middle, "leader")
        yield text(box[0], middle, words, class_=f"end {colour(point.series)}")


def _around(x: float, y: float, width: float) -> Iterator[Box]:
    """Yield the boxes a label might have: beside the point first, then above, below, further."""
    half = TEXT / 2 + 1
    for dy in _SHIFTS:
        yield x + _GAP, y + dy - half, x + _GAP + width, y + dy + half
        yield x - _GAP - width, y + dy - half, x - _GAP, y + dy + half
        if abs(dy) > _GAP + 3:
            yield x - width / 2, y + dy - half, x + width / 2, y + dy + half


def _cost(box: Box, taken: Sequence[Box], area: Area) -> float:
    """Return how much a box covers, and far more for what it leaves the area by."""
    inside = _overlap(box, (area.left, area.top - 20, area.right, area.bottom))
    size = (box[2] - box[0]) * (box[3] - box[1])
    return sum(_overlap(box, other) for other in taken) + 10 * (size - inside)


def _overlap(one: Box, other: Box) -> float:
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    return max(across, 0.0) * max(down, 0.0)
