"""Lines of several series over one axis, each named at its end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from recsys.report.axes import Area, Axis, x_axis, y_axis
from recsys.report.scales import Scale
from recsys.report.svg import TEXT, colour, dash, fitted, image, line, mark, tag, text, text_width

_LABEL = TEXT + 3  # height of a line of text
_MARKED = 25  # a line of more points shows its course well enough without marks


@dataclass(frozen=True)
class Series:
    """Points joined by a line.

    Attributes
    ----------
    label
        What it is called.
    points
        Its x and y, in order of x.
    series
        Which colour, mark and dash it has.
    compared
        Whether it is there for others to be compared with: dashed, grey and without marks.
    """

    label: str
    points: tuple[tuple[float, float], ...]
    series: int = 0
    compared: bool = False

    @property
    def colour(self) -> str:
        """Return the classes that carry its colour."""
        return "compared" if self.compared else colour(self.series)


@dataclass(frozen=True)
class LinePlot:
    """Several series over one axis.

    Attributes
    ----------
    title, description
        What it is and what it shows, for who cannot see it.
    x, y
        Its axes.
    series
        What is drawn.
    rules
        Upright lines across all series: where, and what it says there.
    labelled
        Whether each line is named at its end; a legend does it otherwise.
    """

    title: str
    description: str
    x: Axis
    y: Axis
    series: tuple[Series, ...]
    rules: tuple[tuple[float, str], ...] = ()
    labelled: bool = True

    def draw(self, width: int, name: str) -> Markup:
        """Return the plot as an SVG of this width; `name` is the prefix of its ids."""
        names = [series.label for series in self.series] if self.labelled else []
        room = min(max((text_width(label, bold=True) for label in names), default=0), width * 0.26)
        height = max(width * 0.36, 250, _LABEL * len(names) + 80)
        points = [point for series in self.series for point in series.points]
        area = Area(
            left=46,
            top=30,
            right=width - (room + 22 if names else 14),
            bottom=height - 46,
            x=Scale.around([x for x, _ in points], log=self.x.log, margin=0.03),
            y=Scale.around([y for _, y in points], log=self.y.log, zero=self.y.zero),
        )
        return image(
            *y_axis(area, self.y),
            *x_axis(area, self.x, grid=False),
            *self._rules(area),
            *(course(series, area) for series in self.series),
            *(_labels(self.series, area, room) if names else ()),
            width=width,
            height=height,
            title=self.title,
            description=self.description,
            name=name,
        )

    def _rules(self, area: Area) -> Iterator[Markup]:
        for value, says in self.rules:
            x = area.across(value)
            late = x > (area.left + area.right) / 2
            yield line(x, area.top, x, area.bottom, "rule")
            yield text(
                x - 5 if late else x + 5,
                area.top - 7,
                says,
                anchor="end" if late else "start",
                class_="name",
            )


def course(series: Series, area: Area) -> Markup:
    """Return a line, with its marks."""
    places = [(area.across(x), area.down(y)) for x, y in series.points]
    drawn = [
        tag("title", series.label),
        tag(
            "polyline",
            points=" ".join(f"{x:.1f},{y:.1f}" for x, y in places),
            class_=f"line {series.colour}",
            stroke_dasharray=None if series.compared else dash(series.series),
        ),
    ]
    if len(places) <= _MARKED and not series.compared:
        drawn += [mark(x, y, series.series, radius=3.5) for x, y in places]
    return tag("g", *drawn)


def _labels(every: Sequence[Series], area: Area, room: float) -> Iterator[Markup]:
    """Yield the names at the ends of the lines, moved apart where they would overlap."""
    ended = [series for series in every if series.points]
    ends = [
        (area.across(series.points[-1][0]), area.down(series.points[-1][1])) for series in ended
    ]
    heights = apart([y for _, y in ends], _LABEL, area.top, area.bottom)
    for series, (x, y), height in zip(ended, ends, heights, strict=True):
        if abs(height - y) > 2:
            yield line(x + 5, y, area.right + 7, height, "leader")
        yield text(
            area.right + 10,
            height,
            fitted(series.label, room, bold=True),
            class_=f"end {series.colour}",
        )


def apart(places: Sequence[float], least: float, low: float, high: float) -> list[float]:
    """Return the places moved as little as needed to lie `least` apart, in the same order.

    Neighbours that would overlap form a block about their mean; a block that leaves [low, high]
    is pushed inside.
    """
    order = sorted(range(len(places)), key=lambda index: places[index])
    blocks: list[tuple[float, int]] = []  # centre and size, from the top
    for index in order:
        centre, size = _inside(places[index], 1, least, low, high), 1
        while blocks and blocks[-1][0] + least * (blocks[-1][1] + size) / 2 > centre:
            above, more = blocks.pop()
            centre, size = (above * more + centre * size) / (more + size), more + size
            centre = _inside(centre, size, least, low, high)
        blocks.append((centre, size))
    moved = [0.0] * len(places)
    following = iter(order)
    for centre, size in blocks:
        for position in range(size):
            moved[next(following)] = centre + (position - (size - 1) / 2) * least
    return moved


def _inside(centre: float, size: int, least: float, low: float, high: float) -> float:
    """Return the centre of a block moved into the area; one that is too large starts at its top."""
    half = least * (size - 1) / 2
    return max(min(centre, high - half), low + half)
