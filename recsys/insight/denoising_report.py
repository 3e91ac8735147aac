"""The report's part on events that nobody meant."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from recsys.insight.accounts import Log
from recsys.insight.denoising import Noise
from recsys.insight.fit import Doubles
from recsys.insight.trials import Trial
from recsys.insight.trials_report import trial_blocks
from recsys.report import (
    Axis,
    Cell,
    Column,
    Figure,
    Folded,
    LinePlot,
    Note,
    Row,
    Section,
    Series,
    Table,
)

_SHOWN = 20
_BINS = 20


def noise_sections(
    log: Log, noise: Noise, limit: int = _SHOWN, trials: Sequence[Trial] = ()
) -> tuple[Section, ...]:
    """Return the section on what is taken for noise.

    Parameters
    ----------
    log
        Ids and titles, of the log that `noise` is of.
    noise
        What was found.
    limit
        How many of the worst-fitting pairs are listed.
    trials
        What was put into the log and looked for, if it was.
    """
    taken, n_pairs = int(np.count_nonzero(noise.noise)), len(noise.noise)
    says = (
        f"{taken:,} of {n_pairs:,} pairs of account and item are taken for noise: those that fit "
        "worst, left of the dashed line."
    )
    if noise.again.any():
        says += " What was taken again on another day is kept wherever it lies."
    note = Note(
        "Pairs drawn by lot would give a flat line at 1. The nearer the left end comes to it, the "
        "more of what lies there may be noise; much of it is honest all the same. Take out less "
        "with a smaller share."
    )
    figure = Figure((_plot(noise, says),))
    table = Folded("The worst-fitting pairs", _table(log, noise, limit))
    tried = trial_blocks(trials, "fit", "10 % of the pairs")
    return (Section("Noise", says, (figure, note, table, *tried)),)


def _plot(noise: Noise, says: str) -> LinePlot:
    """Plot how many pairs have each score, as against an even spread."""
    kinds = (("taken once", ~noise.again), ("taken again", noise.again))
    series = tuple(
        Series(name, _density(noise.score[which]), number)
        for number, (name, which) in enumerate(kinds)
        if which.any()
    )
    rules = ((float(noise.score[noise.noise].max()), "taken out"),) if noise.noise.any() else ()
    x, y = Axis("how well a pair fits"), Axis("pairs, against an even spread", zero=True)
    return LinePlot("How well pairs fit", says, x, y, series, rules)


def _density(scores: Doubles) -> tuple[tuple[float, float], ...]:
    counts, edges = np.histogram(scores, _BINS, (0, 1))
    heights = counts * _BINS / len(scores)
    return tuple(zip(((edges[1:] + edges[:-1]) / 2).tolist(), heights.tolist(), strict=True))


def _table(log: Log, noise: Noise, limit: int) -> Table:
    columns = (
        Column("Account", number=False),
        Column("Item", number=False),
        *map(Column, ("Fit", "Among items", "Among accounts")),
    )
    gone = np.flatnonzero(noise.noise)
    worst = gone[np.argsort(noise.score[gone], kind="stable")[:limit]]
    pairs, fit = noise.fit.pairs, noise.fit
    rows = tuple(
        Row(
            (
                Cell(log.users[int(pairs.users[pair])]),
                Cell(
                    log.catalogue.titles[pairs.items[pair]], note=log.items[int(pairs.items[pair])]
                ),
                *(
                    Cell(f"{share[pair]:.3f}", float(share[pair]))
                    for share in (noise.score, fit.among_items, fit.among_users)
                ),
            )
        )
        for pair in worst
    )
    return Table("The worst-fitting pairs that are taken out", columns, rows)
