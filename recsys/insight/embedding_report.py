"""The report's part on segments of users and on the map of items."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from recsys.insight.accounts import Log
from recsys.insight.embedding import Embeddings
from recsys.insight.segments import Doubles, Segments
from recsys.report import (
    Axis,
    Cell,
    CloudPlot,
    Column,
    Figure,
    Folded,
    LinePlot,
    Note,
    Point,
    Row,
    Section,
    Series,
    Table,
)

_NAMED = 5  # typical items a segment is described by
_WEAK = 0.25  # Kaufman and Rousseeuw 1990: no substantial structure below it
_LISTED = 20  # items whose neighbours are shown
_NEAR = 3


def embedding_sections(
    log: Log, embeddings: Embeddings, worth: Mapping[str, float] | None = None
) -> tuple[Section, ...]:
    """Return the sections on segments, on the map of the catalogue and on neighbours.

    Parameters
    ----------
    log
        Ids and titles, of the log that `embeddings` is of.
    embeddings
        What was found.
    worth
        NDCG@100 of what the nearest users have, by whose vectors they are near: the first way's,
        and what it is compared with; where it was measured.
    """
    segments, places = embeddings.segments, embeddings.places
    sections = [_neighbours_section(log, embeddings)]
    if places is not None and len(places):
        sections.insert(0, _map_section(log, embeddings, places))
    if segments is not None:
        sections.insert(0, _segments_section(log, segments))
    if worth:
        sections.append(_worth_section(worth))
    return tuple(sections)


def _worth_section(worth: Mapping[str, float]) -> Section:
    (ours, reached), *others = worth.items()
    compared = ", ".join(f"{reached:.3f} by those of {name}" for name, reached in others)
    says = (
        "What held-out users took, looked for among what the users nearest to them have: NDCG@100 "
        f"is {reached:.3f} by the vectors of {ours}, {compared}. Higher is better."
    )
    best = max(worth.values())
    rows = tuple(
        Row((Cell(name), Cell(f"{figure:.4f}", figure, best=figure == best)))
        for name, figure in worth.items()
    )
    columns = (Column("Vectors of", number=False), Column("NDCG@100"))
    table = Table("What is found among the nearest users' items", columns, rows)
    return Section("What vectors tell", says, (table,))


def _segments_section(log: Log, segments: Segments) -> Section:
    number, best = len(segments.sizes), max(segments.silhouettes.values())
    says = (
        f"{number} segments, the number whose mean silhouette is highest. The table says what each "
        "buys more than others do: a lift of 3 is three times as often."
    )
    note = (
        f"The silhouette is {best:.2f}; 1 would be far apart, 0 one cloud. "
        + (
            "These are parts of one cloud, useful to speak of, not separate kinds of people."
            if best < _WEAK
            else "The groups stand apart."
        )
        + " An item is typical of a segment that a tenth of its users have."
    )
    how = (
        "The higher, the further apart the segments lie; the dashed line marks the number taken. A "
        "line without a peak says that no number is the natural one."
    )
    columns = (
        Column("Segment", number=False),
        Column("Typical items, with their lift", number=False),
        *map(Column, ("Users", "Share")),
    )
    total = int(segments.sizes.sum())
    rows = tuple(
        Row(
            (
                Cell(f"{number}", series=number - 1),
                Cell(
                    "; ".join(
                        f"{log.catalogue.titles[one.item]} ({one.lift:.1f})"
                        for one in typical[:_NAMED]
                    )
                    or "none that stands out"
                ),
                Cell(f"{size:,}", int(size)),
                Cell(f"{size / total:.0%}", size / total),
            )
        )
        for number, (size, typical) in enumerate(
            zip(segments.sizes, segments.typical, strict=True), start=1
        )
    )
    plot = LinePlot(
        "How well each number of segments separates users",
        how,
        Axis("segments"),
        Axis("mean silhouette", zero=True),
        (Series("silhouette", tuple((float(k), s) for k, s in segments.silhouettes.items()), 0),),
        ((float(number), "taken"),),
        labelled=False,
    )
    table = Table("Segments", columns, rows)
    return Section("Segments", says, (table, Note(note), Figure((plot,)), Note(how)))


def _map_section(log: Log, embeddings: Embeddings, places: Doubles) -> Section:
    says = (
        f"The {len(places):,} items with most users; neighbours on the map are bought by the same "
        "users. Point at one to read its title."
    )
    of_item, legend = _colours(embeddings)
    points = tuple(
        Point(log.catalogue.titles[item], x, y, int(of_item[item]))
        for item, (x, y) in zip(embeddings.mapped.tolist(), places.tolist(), strict=True)
    )
    plot = CloudPlot("Map of the catalogue", says, points)
    note = Note(
        "A t-SNE projection of the items' vectors, by cosine: directions mean nothing." + legend
    )
    return Section("Map of the catalogue", says, (Figure((plot,)), note))


def _colours(embeddings: Embeddings) -> tuple[npt.NDArray[np.intp], str]:
    """Return the segment that each item is most bought by, as a colour, and what to say of it."""
    segments = embeddings.segments
    if segments is None:
        return np.zeros(len(embeddings.items), np.intp), ""
    return segments.of_item, " Colours and shapes are the segments of whom each is most typical."


def _neighbours_section(log: Log, embeddings: Embeddings) -> Section:
    says = "What lies nearest to the items with most users: what a page could show beside them."
    columns = (Column("Item", number=False), Column("Nearest, with the cosine", number=False))
    rows = tuple(
        Row((Cell(log.catalogue.titles[item], note=log.items[item]), Cell("; ".join(near))))
        for item, near in _nearest(log, embeddings)
    )
    blocks: tuple[Table | Folded | Note, ...] = (
        Folded("Items and their neighbours", Table("Nearest neighbours", columns, rows)),
    )
    if embeddings.left_out:
        blocks += (Note(f"Left out: {embeddings.left_out}."),)
    return Section("Neighbours", says, blocks)


def _nearest(log: Log, embeddings: Embeddings) -> Iterator[tuple[int, list[str]]]:
    for item in embeddings.mapped[:_LISTED].tolist():
        items, cosines = embeddings.neighbours.row(item)
        near = zip(items[:_NEAR].tolist(), cosines[:_NEAR].tolist(), strict=True)
        yield item, [f"{log.catalogue.titles[other]} ({cosine:.2f})" for other, cosine in near]
