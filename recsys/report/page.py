"""What a report is made of: a page with facts and sections of tables and figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

from markupsafe import Markup


class Plot(Protocol):
    """A drawing that can be made for any width."""

    @property
    def title(self) -> str:
        """What it shows, as a heading."""

    def draw(self, width: int, name: str) -> Markup:
        """Return it as an SVG of this width; `name` is the prefix of its ids."""


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes
    ----------
    text
        What it says.
    value
        The exact number behind it.
    note
        A second, smaller line.
    best
        Whether it stands out.
    series
        The series whose mark stands before the text.
    span
        How many columns it takes.
    """

    text: str
    value: float | None = None
    note: str = ""
    best: bool = False
    series: int | None = None
    span: int = 1


@dataclass(frozen=True)
class Column:
    """A column's heading; numbers stand at the right."""

    label: str
    number: bool = True


@dataclass(frozen=True)
class Row:
    """Cells, the first of which says whose they are."""

    cells: tuple[Cell, ...]
    best: bool = False


@dataclass(frozen=True)
class Table:
    """Figures; the caption says what they are."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    kind: ClassVar[str] = "table"


@dataclass(frozen=True)
class Figure:
    """Plots side by side, or one over the whole width.

    Attributes
    ----------
    plots
        What is drawn.
    table
        The same as figures, folded away beneath.
    legend
        Names of series and which they are, where the plots do not name them.
    """

    plots: tuple[Plot, ...]
    table: Table | None = None
    legend: tuple[tuple[str, int], ...] = ()
    kind: ClassVar[str] = "figure"


@dataclass(frozen=True)
class Folded:
    """A table that is shown when one asks for it."""

    title: str
    table: Table
    kind: ClassVar[str] = "folded"


@dataclass(frozen=True)
class Note:
    """A remark: how to read what stands above."""

    text: str
    kind: ClassVar[str] = "note"


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes
    ----------
    title
        Its heading.
    says
        What to see in it, in a sentence or two.
    blocks
        What shows it.
    """

    title: str
    says: str
    blocks: tuple[Table | Figure | Folded | Note, ...]


@dataclass(frozen=True)
class Page:
    """A whole report.

    Attributes
    ----------
    title
        Its heading and the browser's title.
    lead
        What it answers, in one sentence.
    facts
        Names and values that say what it is about.
    sections
        Its parts.
    foot
        What made it.
    """

    title: str
    lead: str
    facts: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]
    foot: str = ""
