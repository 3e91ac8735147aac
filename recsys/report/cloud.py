"""Many points, too many to name: each says what it is when pointed at."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from recsys.report.axes import Area
from recsys.report.scales import Scale
from recsys.report.scatter import Point
from recsys.report.svg import image, mark, tag

_RADIUS = 3.0


@dataclass(frozen=True)
class CloudPlot:
    """Points that show their names on hover alone, on a plane whose directions mean nothing.

    Attributes
    ----------
    title, description
        What it is and what it shows, for who cannot see it.
    points
        What is drawn; intervals are not.
    """

    title: str
    description: str
    points: tuple[Point, ...]

    def draw(self, width: int, name: str) -> Markup:
        """Return the plot as an SVG of this width; `name` is the prefix of its ids."""
        height = max(width * 0.7, 320)
        area = Area(
            left=0,
            top=0,
            right=width,
            bottom=height,
            x=Scale.around([point.x for point in self.points]),
            y=Scale.around([point.y for point in self.points]),
        )
        return image(
            *(_drawn(point, area) for point in self.points),
            width=width,
            height=height,
            title=self.title,
            description=self.description,
            name=name,
        )


def _drawn(point: Point, area: Area) -> Markup:
    place = area.across(point.x), area.down(point.y)
    return tag("g", tag("title", point.label), mark(*place, point.series, _RADIUS))
