"""Pieces of SVG as safe markup: whatever is written into them is escaped."""

from __future__ import annotations

import unicodedata

from markupsafe import Markup

TEXT = 12
"""Size of all text in a plot, in units of its drawing (pixels where it is not scaled)."""

COLOURS = 8
"""How many colours the style sheet has; further series repeat them with another mark and dash."""

_MARKS = ("circle", "square", "diamond", "triangle")
_CORNERS = {  # in radii; all marks look about as large
    "square": ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
    "diamond": ((0.0, -1.25), (1.25, 0.0), (0.0, 1.25), (-1.25, 0.0)),
    "triangle": ((0.0, -1.2), (1.1, 0.8), (-1.1, 0.8)),
}
_DASHES = ("", "7 4", "2 3")


def tag(name: str, *children: Markup | str, **attributes: object) -> Markup:
    """Return an element; `text_anchor` is written `text-anchor`, `class_` `class`, None not."""
    written = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), _written(value))
        for key, value in attributes.items()
        if value is not None
    )
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(name), written, Markup("").join(children))


def _written(value: object) -> object:
    """Write coordinates to a tenth, which is all that can be seen."""
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else value


def image(
    *parts: Markup, width: int, height: float, title: str, description: str, name: str
) -> Markup:
    """Return the whole drawing as one image with a title and a description for who cannot see it.

    `name` is the prefix of its ids and must be its own on the page.
    """
    heading, says = f"{name}-title", f"{name}-says"
    return tag(
        "svg",
        tag("title", title, id=heading),
        tag("desc", description, id=says),
        *parts,
        viewBox=f"0 0 {width} {height:.0f}",
        width=width,
        height=round(height),
        role="img",
        aria_labelledby=f"{heading} {says}",
    )


def text(x: float, y: float, words: str, *, anchor: str = "start", class_: str = "") -> Markup:
    """Return a line of text, its middle at height y."""
    return tag("text", words, x=x, y=y, dy=".35em", text_anchor=anchor, class_=class_ or None)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """Return a straight line."""
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def mark(x: float, y: float, series: int, radius: float = 4.5) -> Markup:
    """Return the mark of a series: its colour and a shape that tells it from its neighbours."""
    shape = _MARKS[(series + series // COLOURS) % len(_MARKS)]
    class_ = f"mark {colour(series)}"
    if shape == "circle":
        return tag("circle", cx=x, cy=y, r=radius, class_=class_)
    corners = ((radius * dx, radius * dy) for dx, dy in _CORNERS[shape])
    points = " ".join(f"{x + dx:.1f},{y + dy:.1f}" for dx, dy in corners)
    return tag("polygon", points=points, class_=class_)


def colour(series: int) -> str:
    """Return the class that carries a series' colour."""
    return f"s{series % COLOURS}"


def dash(series: int) -> str | None:
    """Return the dash pattern of a series' line: solid until the colours repeat."""
    return _DASHES[series // COLOURS % len(_DASHES)] or None


def key(series: int) -> Markup:
    """Return the mark of a series as a small drawing for legends and tables."""
    return tag(
        "svg",
        mark(7.0, 7.0, series),
        viewBox="0 0 14 14",
        width=14,
        height=14,
        class_="key",
        aria_hidden="true",
    )


def text_width(words: str, *, bold: bool = False) -> float:
    """Return about how wide a text of size `TEXT` is in a sans-serif font, or a little less."""
    return TEXT * (1.1 if bold else 1.0) * sum(_ems(letter) for letter in words)


def _ems(letter: str) -> float:
    if unicodedata.east_asian_width(letter) in "WF":
        return 1.0
    if letter in "iljtfrI.,:;'|!()[]/ -":
        return 0.38
    return 0.95 if letter in "mwMW@%" else 0.72 if letter.isupper() else 0.62


def fitted(words: str, room: float, *, bold: bool = False) -> str:
    """Return the text, its middle left out where it is wider than `room`; its ends tell most."""
    shown, kept = words, len(words)
    while kept > 2 and text_width(shown, bold=bold) > room:
        kept -= 1
        shown = _without_middle(words, kept)
    return shown


def _without_middle(words: str, kept: int) -> str:
    start = (kept + 1) // 2
    return f"{words[:start]}…{words[len(words) - (kept - start) :]}"
