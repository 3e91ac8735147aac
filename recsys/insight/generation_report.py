"""The report's part on synthetic users."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from recsys.insight.generation_measures import (
    STUDENT,
    Doubles,
    GenerationTrial,
    Generator,
)
from recsys.interactions.tables import LongArray
from recsys.report import (
    Axis,
    Bar,
    BarPlot,
    Cell,
    Column,
    Figure,
    LinePlot,
    Note,
    Row,
    Section,
    Series,
    Table,
)

_GROUPS = 24  # of items, by popularity
_STEPS = 60
_NEAR = 0.01  # the nearest share of histories


def generation_sections(trial: GenerationTrial) -> tuple[Section, ...]:
    """Return the section on synthetic users: what they are good for, and how near they come."""
    first = trial.generators[0]
    kept = first.ndcg / trial.ndcg_real if trial.ndcg_real else 0.0
    near, held_out = (
        float(np.median(a)) if len(a) else 1.0
        for a in (first.fidelity.nearest, first.fidelity.nearest_real)
    )
    says = (
        f"{trial.users:,} users drawn by {first.name} teach a recommender {kept:.0%} of what as "
        f"many real ones do. {_copies(first)} Half of them are {near:.2f} or more from the nearest "
        f"real user; of real users that were held out, half are {held_out:.2f} or more."
    )
    blocks = (
        Figure((_use(trial),), _table(trial)),
        Note(
            f"Longer is better: NDCG@100 of {STUDENT} on {trial.tested:,} real users, trained on "
            "what the bar says. Items drawn by popularity alone teach what is popular and no more; "
            "how far a bar goes beyond that is what the generator knows of taste."
        ),
        Figure((_popularity(trial), _lengths(trial))),
        Note(
            "Popularity: the nearer the points to the dashed line, the more are items as popular "
            "among drawn users as among real ones. Length: the two lines should lie on each other."
        ),
        Figure((_nearness(first),)),
        Note(
            "Privacy: a curve that rises further left is nearer to real users. Drawn users keep to "
            f"what is typical, which lies near to many.{_seen(first)} It measures copying, and is "
            "no proof that nothing can be learnt of anyone."
        ),
    )
    return (Section("Synthetic users", says, blocks),)


def _copies(generator: Generator) -> str:
    copies = generator.fidelity.copies
    if not copies:
        return "None of 5 items or more is a copy."
    return f"{copies:,} of 5 items or more are copies." if copies > 1 else "One is a copy."


def _seen(generator: Generator) -> str:
    share = generator.fidelity.nearer_to_seen
    if share is None:
        return ""
    return (
        f" So see also whom they are near: {share:.0%} come nearer to a user that the model has "
        "seen than to one of as many that it has not; half would be no trace of who was seen."
    )


def _use(trial: GenerationTrial) -> BarPlot:
    bars = (
        Bar("real users", trial.ndcg_real, f"{trial.ndcg_real:.3f}", 0),
        *(Bar(one.name, one.ndcg, f"{one.ndcg:.3f}", 1) for one in trial.generators),
    )
    says = "; ".join(f"{bar.label} {bar.shown}" for bar in bars)
    return BarPlot("What a recommender learns", says, Axis("NDCG@100"), (("", bars),))


def _popularity(trial: GenerationTrial) -> LinePlot:
    """Plot mean shares of groups of items, synthetic against real."""
    there = np.flatnonzero(trial.real_shares > 0)
    order = there[np.argsort(trial.real_shares[there], kind="stable")]
    groups = [part for part in np.array_split(order, min(_GROUPS, len(order))) if len(part)]
    real = [float(trial.real_shares[part].mean()) for part in groups]
    drawn = [float(max(trial.shares[part].mean(), 1e-6)) for part in groups]
    series = (
        Series("as it should be", tuple(zip(real, real, strict=True)), compared=True),
        Series("drawn", tuple(zip(real, drawn, strict=True)), 0),
    )
    says = f"Correlation {trial.generators[0].fidelity.popularity:.3f} over all items."
    x, y = Axis("share of real users", log=True), Axis("share of drawn users", log=True)
    return LinePlot("How popular items are", says, x, y, series)


def _lengths(trial: GenerationTrial) -> LinePlot:
    """Plot in which share of histories there are so many items or more."""
    steps = _spread((trial.real_lengths, trial.lengths))
    series = tuple(
        Series(name, tuple((float(at), float((lengths >= at).mean())) for at in steps), number)
        for number, (name, lengths) in enumerate(
            (("drawn", trial.lengths), ("real", trial.real_lengths))
        )
    )
    says = f"At most {trial.generators[0].fidelity.lengths:.1%} apart."
    return LinePlot(
        "How long histories are", says, Axis("items", log=True), Axis("share as long"), series
    )


def _spread(lengths: Sequence[LongArray]) -> Doubles:
    most = max(int(array.max(initial=1)) for array in lengths)
    return np.unique(np.rint(np.geomspace(1, max(most, 2), _STEPS)))


def _nearness(generator: Generator) -> LinePlot:
    """Plot in which share of histories the nearest real one is so near or nearer."""
    steps = np.linspace(0, 1, 41)
    fidelity = generator.fidelity
    series = tuple(
        Series(name, tuple((float(at), float((near <= at).mean())) for at in steps), number)
        for number, (name, near) in enumerate(
            (("drawn", fidelity.nearest), ("real, held out", fidelity.nearest_real))
        )
        if len(near)
    )
    says = "Share of histories whose nearest real one is so near or nearer."
    x, y = Axis("distance to the nearest real user (1 − Jaccard)"), Axis("share", zero=True)
    return LinePlot("How near they come", says, x, y, series)


def _table(trial: GenerationTrial) -> Table:
    columns = (
        Column("Trained on", number=False),
        *map(
            Column,
            ("NDCG@100", "of real", "Popularity r", "Pairs r", "Lengths apart", "Copies",
             "Nearest, median", "Nearest 1 %", "Nearer to seen"),
        ),
    )  # fmt: skip
    rows = [
        Row((Cell("real users"), Cell(f"{trial.ndcg_real:.4f}", trial.ndcg_real), *[Cell("")] * 8))
    ]
    for one in trial.generators:
        fidelity = one.fidelity
        figures = (
            (f"{one.ndcg:.4f}", one.ndcg),
            (f"{one.ndcg / trial.ndcg_real:.0%}" if trial.ndcg_real else "–", None),
            (f"{fidelity.popularity:.3f}", fidelity.popularity),
            (f"{fidelity.together:.3f}", fidelity.together),
            (f"{fidelity.lengths:.1%}", fidelity.lengths),
            (f"{fidelity.copies:,}", fidelity.copies),
            *((_quantile(fidelity.nearest, q), None) for q in (0.5, _NEAR)),
            _share(fidelity.nearer_to_seen),
        )
        rows.append(Row((Cell(one.name), *(Cell(text, value) for text, value in figures))))
    held_out = trial.generators[0].fidelity.nearest_real
    near = [Cell(_quantile(held_out, q)) for q in (0.5, _NEAR)]
    rows.append(Row((Cell("real users, held out"), *[Cell("")] * 6, *near, Cell(""))))
    return Table("Generators, each learnt from the same users", columns, tuple(rows))


def _share(share: float | None) -> tuple[str, float | None]:
    return ("–" if share is None else f"{share:.0%}"), share


def _quantile(values: Doubles, q: float) -> str:
    return f"{np.quantile(values, q):.2f}" if len(values) else "–"
