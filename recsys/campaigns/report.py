"""The report of a campaign: what became of everyone, and what they are sent."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from recsys.campaigns.statistics import Statistics, merged, statistics_of
from recsys.files import Tensors
from recsys.report import (
    Axis,
    Bar,
    BarPlot,
    Cell,
    Column,
    Figure,
    Folded,
    LinePlot,
    Note,
    Page,
    Row,
    Section,
    Series,
    Table,
    write_page,
)

if TYPE_CHECKING:
    from recsys.campaigns.final import Final
    from recsys.campaigns.manifest import Manifest
    from recsys.campaigns.opened import OpenRun

_MOST_SENT = 20
_STEPS = 60  # of a curve
_STATUSES = (
    ("sent", "sent"),
    ("held_out", "held out"),
    ("suppressed", "suppressed"),
    ("ineligible", "ineligible"),
    ("failed", "failed"),
)


def shard_statistics(final: Final, run: OpenRun) -> Tensors:
    """Return what the report needs of a shard; small, whatever the number of users."""
    return statistics_of(final, run.pinned.spec.k)


def write_report(
    path: Path, run: OpenRun, manifest: Manifest, statistics: Iterable[Tensors]
) -> None:
    """Write the report; the same campaign makes the same bytes.

    Parameters
    ----------
    path
        Where to.
    run
        The run, for titles and arms.
    manifest
        Its counts.
    statistics
        What `shard_statistics` returned of each shard.
    """
    found = merged(statistics, len(run.arms), len(run.items.ids), run.pinned.spec.k)
    write_page(path, _Report(run, manifest, found).page())


class _Report:
    def __init__(self, run: OpenRun, manifest: Manifest, found: Statistics) -> None:
        self._run, self._manifest, self._found = run, manifest, found
        self._spec = run.pinned.spec
        self._arms = [arm.pinned.name or "all" for arm in run.arms]

    def page(self) -> Page:
        manifest, counts = self._manifest, self._manifest.counts
        models = dict.fromkeys(f"{model['model']} {model['version']}" for model in manifest.models)
        sections = [self._counts()]
        if len(self._arms) > 1 or counts.held_out:
            sections.append(self._groups())
        if counts.sent:
            sections += [self._items(), self._most_sent(), *self._scores()]
        return Page(
            title=f"Campaign {self._spec.name}",
            lead=f"What became of {counts.audience:,} people, and what {counts.sent:,} of them "
            f"are sent.",
            facts=(
                ("Audience", str(manifest.audience["file"])),
                ("Reference time", manifest.at),
                ("Items a mail", f"{self._spec.k}"),
                ("Model" + "s" * (len(models) > 1), ", ".join(models)),
                ("Run key", manifest.run_key[:12]),
            ),
            sections=tuple(sections),
            foot="The same audience, spec, models and store make the same campaign, byte for byte.",
        )

    def _counts(self) -> Section:
        counts = self._manifest.counts
        numbers = [(label, int(getattr(counts, name))) for name, label in _STATUSES]
        says = f"{_share(counts.sent, counts.audience)} of the audience are sent a mail"
        others = [each for each in numbers[1:] if each[1]]
        if others:
            label, most = max(others, key=lambda each: each[1])
            says += f"; of the others, most are {label} ({most:,})"
        says += f". Each of the {counts.audience:,} people stands in one bar."
        bars = tuple(
            Bar(label, number, f"{number:,}", place)
            for place, (label, number) in enumerate(numbers)
        )
        plot = BarPlot("What became of everyone", says, Axis("people", zero=True), (("", bars),))
        note = Note(
            f"{counts.input:,} rows came in: {counts.audience:,} people, and {counts.rejected:,} "
            "rows that name nobody or somebody again (rejected.csv)."
        )
        return Section("Who is sent", says, (Figure((plot,)), note, *self._reasons()))

    def _reasons(self) -> list[Table]:
        labels = dict(_STATUSES)
        rows = tuple(
            Row((Cell(labels[status]), Cell(reason), Cell(f"{users:,}", users)))
            for status in labels
            for reason, users in self._manifest.reasons.get(status, {}).items()
        )
        columns = (
            Column("Status", number=False),
            Column("Reason", number=False),
            Column("People"),
        )
        return [Table("Reasons, the commonest of each status", columns, rows)] if rows else []

    def _groups(self) -> Section:
        """Show the arms of the test, and who is held out."""
        counts, named = self._manifest.counts, self._manifest.arms
        groups = [(arm, named[arm]) for arm in self._arms if arm in named]
        if not groups:
            groups = [("all", {name: getattr(counts, name) for name, _ in _STATUSES})]
        columns = (Column("Arm", number=False), *(Column(label) for _, label in _STATUSES))
        rows = tuple(
            Row(
                (
                    Cell(arm, note=self._model_of(arm)),
                    *(Cell(f"{users.get(name, 0):,}", users.get(name, 0)) for name, _ in _STATUSES),
                )
            )
            for arm, users in groups
        )
        eligible = counts.sent + counts.held_out
        says = (
            f"{counts.held_out:,} people who could be sent a mail are held out to compare with, "
            f"{_share(counts.held_out, eligible)} of {eligible:,}. "
            "They are judged by the same rules, whoever is left with too few items included"
            + (", each as if they alone came to those who are sent. " if self._spec.quota else ". ")
            if counts.held_out
            else "Nobody is held out, so what people would have bought anyway will not be known. "
        )
        if len(groups) > 1:
            says += (
                "A hash of campaign and user decides on the arm: the arms are alike in all else."
            )
        table = Table("People by arm and status", columns, rows)
        return Section("Arms and hold-out", says, (table,))

    def _model_of(self, arm: str) -> str:
        models = self._manifest.models
        one = next((model for model in models if model["arm"] == arm), models[0])
        return f"{one['model']} {one['version']}"

    def _items(self) -> Section:
        sends, n_items = self._found.sends, len(self._run.items.ids)
        total = sends.sum(axis=0)
        listed = int(np.count_nonzero(total))
        half = int(np.searchsorted(np.cumsum(np.sort(total)[::-1]), total.sum() / 2)) + 1
        says = (
            f"{listed:,} of {n_items:,} items stand in a mail (coverage "
            f"{_share(listed, n_items)}); {_items_of(half)} make half of all places. The further a "
            "line hangs below the straight one, the more of the places few items take."
        )
        series = [Series("all alike", ((0.0, 0.0), (1.0, 1.0)), len(sends))]
        series += [
            Series(name, _lorenz(own), place)
            for place, (name, own) in enumerate(zip(self._arms, sends, strict=True))
            if own.any()
        ]
        x, y = Axis("share of the items, the least sent first"), Axis("share of places", zero=True)
        plot = LinePlot("How evenly places are spread", says, x, y, tuple(series))
        columns = (
            Column("Arm", number=False),
            *map(Column, ("Places", "Items", "Coverage", "Gini", "Most sent item")),
        )
        rows = tuple(
            Row(
                (
                    Cell(name),
                    Cell(f"{own.sum():,}", int(own.sum())),
                    Cell(f"{np.count_nonzero(own):,}", int(np.count_nonzero(own))),
                    Cell(_share(int(np.count_nonzero(own)), n_items)),
                    Cell(f"{_gini(own):.3f}", _gini(own)),
                    Cell(_share(int(own.max()), int(own.sum()))),
                )
            )
            for name, own in zip(self._arms, sends, strict=True)
            if own.any()
        )
        note = Note("Gini is 0 where all items have as many places, and 1 where one has them all.")
        blocks = (Figure((plot,), Table("The same in figures", columns, rows)), note)
        return Section("How items are spread", says, (*blocks, *self._quotas(total)))

    def _quotas(self, total: np.ndarray) -> list[Note]:
        if self._spec.quota is None:
            return []
        from recsys.campaigns.assigning import quotas
        from recsys.campaigns.market import NO_LIMIT

        limits = quotas(self._run)
        limited = limits < NO_LIMIT
        full = int(np.count_nonzero(limited & (total >= limits)))
        return [
            Note(f"{_items_of(int(limited.sum()))} have a quota; {full:,} of them are used up.")
        ]

    def _most_sent(self) -> Section:
        total, sent = self._found.sends.sum(axis=0), self._manifest.counts.sent
        order = np.argsort(-total, kind="stable")[:_MOST_SENT]
        best = [item for item in order.tolist() if total[item]]
        titles, ids = self._run.items.titles, self._run.items.ids
        first = best[0]
        says = (
            f"{titles[first]} is in {_share(total[first], sent)} of the mails. Where the first "
            "bars are near the whole number of mails, everyone gets the same."
        )
        bars = tuple(Bar(titles[item], int(total[item]), f"{total[item]:,}", 0) for item in best)
        plot = BarPlot("Mails an item is in", says, Axis("mails", zero=True), (("", bars),))
        columns = (Column("Item", number=False), Column("Mails"), Column("Share"))
        rows = tuple(
            Row(
                (
                    Cell(titles[item], note=ids[item]),
                    Cell(f"{total[item]:,}", int(total[item])),
                    Cell(_share(total[item], sent)),
                )
            )
            for item in best
        )
        figure = Figure((plot,), Table("The most sent items", columns, rows))
        return Section("The most sent items", says, (figure,))

    def _scores(self) -> list[Section]:
        """Plot how many of the lists have a score up to which."""
        plots = []
        says = (
            "How many mails have a best, or a last, item with a score up to a value. Two lines far "
            "apart say that the last places are filled with much less than the first. Scores are "
            "of one model, and those of two do not compare; popular items have none here."
        )
        for place, name in enumerate(self._arms):
            curves = self._found.curves(place, _STEPS)
            if curves:
                series = tuple(
                    Series(label, points, number) for number, (label, points) in enumerate(curves)
                )
                title = "Scores" if len(self._arms) == 1 else f"Scores, arm {name}"
                x, y = Axis("score up to"), Axis("share of the mails", zero=True)
                plots.append(LinePlot(title, says, x, y, series, labelled=False))
        if not plots:
            return []
        figure = Figure(tuple(plots), legend=(("best item", 0), ("last item", 1)))
        return [Section("Scores", says, (figure, *self._lengths()))]

    def _lengths(self) -> list[Folded]:
        lengths = self._found.lengths
        columns = (Column("Items in the mail"), Column("Mails"), Column("Share"))
        rows = tuple(
            Row((Cell(f"{length}"), Cell(f"{n:,}", n), Cell(_share(n, int(lengths.sum())))))
            for length, n in enumerate(lengths.tolist())
            if n
        )
        return [Folded("How long the lists are", Table("Length of the lists", columns, rows))]


def _lorenz(sends: np.ndarray) -> tuple[tuple[float, float], ...]:
    """Return points of a Lorenz curve, more of them where it bends."""
    ordered = np.concatenate([[0], np.cumsum(np.sort(sends))])
    n = len(sends)
    shares = 1 - np.linspace(1, 0, _STEPS) ** 2
    places = np.unique(np.concatenate([np.round(shares * n), [n]]).astype(np.int64))
    return tuple((float(at / n), float(ordered[at] / ordered[-1])) for at in places)


def _gini(sends: np.ndarray) -> float:
    """Return Gini's coefficient: 2 · Σ i·x_i / (n · Σ x) − (n + 1) / n over x in order."""
    n, total = len(sends), float(sends.sum())
    return float(2 * (np.arange(1, n + 1) * np.sort(sends)).sum() / (n * total) - (n + 1) / n)


def _items_of(count: int) -> str:
    return "1 item" if count == 1 else f"{count:,} items"


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.1%}" if whole else "–"
