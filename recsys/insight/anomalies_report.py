"""The report's part on strange accounts and odd events."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from recsys.insight.accounts import Log, StrangeAccount, odd_events, strangest_accounts
from recsys.insight.anomalies import Anomalies
from recsys.insight.trials import Trial
from recsys.insight.trials_report import trial_blocks
from recsys.report import (
    Axis,
    Cell,
    Column,
    Figure,
    Note,
    Point,
    Row,
    ScatterPlot,
    Section,
    Series,
    Table,
)

_SHOWN = 10
_GROUPS = 12  # of accounts, by length
_QUANTILES = ((0.5, "half lie below"), (0.01, "1 % lie below"))


def anomalies_sections(
    log: Log, anomalies: Anomalies, limit: int = _SHOWN, trials: Sequence[Trial] = ()
) -> tuple[Section, ...]:
    """Return the sections on the strangest accounts and the oddest events.

    Parameters
    ----------
    log
        Ids and titles, of the log that `anomalies` is of.
    anomalies
        What was found.
    limit
        How many of each are listed.
    trials
        What was put into the log and looked for, if it was.
    """
    accounts = list(strangest_accounts(log, anomalies, limit))
    return _accounts_section(anomalies, accounts, trials), _events_section(log, anomalies, limit)


def _accounts_section(
    anomalies: Anomalies, accounts: Sequence[StrangeAccount], trials: Sequence[Trial]
) -> Section:
    n_accounts = len(anomalies.ranking)
    strange = int(np.count_nonzero(anomalies.log_p < math.log(0.001)))
    expected = f"about {n_accounts / 1000:,.0f}" if n_accounts >= 1000 else "fewer than 1"
    says = (
        f"{strange:,} of {n_accounts:,} accounts have a p below .001, where chance alone gives "
        f"{expected}. Half of all accounts of a length lie below the upper dashed line, 1 % below "
        "the lower one; the strangest lie under that, their taste being odd (circles), or far to "
        "the right, their size being odd (squares)."
    )
    figure = Figure((_plot(anomalies, accounts, says),), _table(accounts))
    note = Note(
        "The fit of an item: the share of other items that suit the account less, and of other "
        "accounts that suit the item less, on average; by a model that has not seen the account. "
        "p joins size (a history so long) and taste (so bad a fit for its length) by Fisher's "
        "method. It says how rare such an account is, not that it is a fraud: look at it first."
    )
    tried = trial_blocks(trials, "taste", "3 % of the accounts")
    return Section("Strange accounts", says, (figure, note, *tried))


def _plot(anomalies: Anomalies, accounts: Sequence[StrangeAccount], says: str) -> ScatterPlot:
    """Plot the strangest accounts, and what is usual for their length."""
    points = tuple(
        Point(one.user, float(one.items), one.mean_fit, 0 if one.p_taste < one.p_size else 1)
        for one in accounts
    )
    x, y = Axis("different items", log=True), Axis("mean fit of an account's items")
    usual = tuple(_usual(anomalies, *quantile) for quantile in _QUANTILES)
    return ScatterPlot("The strangest accounts, and what is usual", says, x, y, points, usual)


def _usual(anomalies: Anomalies, quantile: float, name: str) -> Series:
    """Return a quantile of the mean fit by length."""
    several = np.flatnonzero(anomalies.lengths > 1)
    by_length = several[np.argsort(anomalies.lengths[several], kind="stable")]
    groups = [g for g in np.array_split(by_length, min(_GROUPS, len(by_length) or 1)) if len(g)]
    places = tuple(
        (
            float(np.median(anomalies.lengths[group])),
            float(np.quantile(anomalies.mean_fit[group], quantile)),
        )
        for group in groups
    )
    return Series(name, places, compared=True)


def _table(accounts: Sequence[StrangeAccount]) -> Table:
    columns = (
        Column("Account", number=False),
        *map(Column, ("Items", "p", "p, size", "p, taste")),
        Column("Why", number=False),
    )
    rows = tuple(
        Row(
            (
                Cell(one.user),
                Cell(f"{one.items:,}", one.items),
                *(Cell(f"{p:.1e}", p) for p in (one.p, one.p_size, one.p_taste)),
                Cell(one.reason),
            )
        )
        for one in accounts
    )
    return Table("The strangest accounts", columns, rows)


def _events_section(log: Log, anomalies: Anomalies, limit: int) -> Section:
    events = list(odd_events(log, anomalies, limit))
    says = "Single items that do not go with the rest of an account whose other items fit well."
    if events:
        one = events[0]
        says += f" The oddest: {one.title}, of account {one.user}."
    columns = (
        Column("Account", number=False),
        Column("Item", number=False),
        *map(Column, ("Fit", "Of the account")),
    )
    rows = tuple(
        Row(
            (
                Cell(one.user),
                Cell(one.title, note=one.item),
                Cell(f"{one.fit:.3f}", one.fit),
                Cell(f"{one.mean_fit:.3f}", one.mean_fit),
            )
        )
        for one in events
    )
    table = Table("Odd events, and how well they fit", columns, rows)
    return Section("Odd events", says, (table,))
