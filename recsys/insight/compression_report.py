"""The report's part on how few bytes a history takes."""

from __future__ import annotations

from recsys.insight.compression import Compression, Kept
from recsys.report import Axis, Cell, Column, Figure, LinePlot, Note, Row, Section, Series, Table

_WAYS = ("autoencoder", "PCA", "item list")


def compression_sections(compression: Compression) -> tuple[Section, ...]:
    """Return the section on bytes a user against what is kept of the history."""
    says = _says(compression)
    series = tuple(
        Series(way, tuple((float(one.n_bytes), one.share) for one in best), number)
        for number, way in enumerate(_WAYS)
        if (best := compression.best(way))
    )
    sizes = sorted({one.n_bytes for one in compression.kept})
    ticks = tuple((float(size), f"{size}") for size in sizes)
    plot = LinePlot(
        "Share of the history that comes back",
        says,
        Axis("bytes a user", log=True, ticks=ticks),
        Axis("share found"),
        series,
    )
    note = Note(
        f"Of {compression.users:,} users that nothing was learnt from, who have "
        f"{compression.median_length:g} items in the middle; n, the length of the history, comes "
        "on top of each code. The item list holds as many items as there is room for, filled up "
        "with the most popular ones."
    )
    return (Section("Compression", says, (Figure((plot,), _table(compression.kept)), note)),)


def _says(compression: Compression) -> str:
    ours, pca = compression.best("autoencoder"), compression.best("PCA")
    middle = len(ours) // 2
    return (
        f"In {ours[middle].n_bytes} bytes a user the autoencoder brings back "
        f"{ours[middle].share:.0%} of a history among the n likeliest items, PCA "
        f"{pca[middle].share:.0%}: the higher line keeps more at the same size."
    )


def _table(kept: tuple[Kept, ...]) -> Table:
    columns = (
        Column("Way", number=False),
        Column("Bits", number=False),
        *map(Column, ("Bytes a user", "Latents or items", "Share found")),
    )
    rows = tuple(
        Row(
            (
                Cell(one.way, series=_WAYS.index(one.way)),
                Cell(one.bits),
                Cell(f"{one.n_bytes}", one.n_bytes),
                Cell(f"{one.width:,}", one.width),
                Cell(f"{one.share:.3f}", one.share),
            )
        )
        for one in sorted(kept, key=lambda one: (one.n_bytes, -one.share))
    )
    return Table("What comes back of a history", columns, rows)
