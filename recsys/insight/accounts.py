"""Anomalies by name: the strangest accounts and events, each with its reason."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from recsys.ids import IdMap
from recsys.insight.anomalies import Anomalies
from recsys.interactions.catalogue import Catalogue
from recsys.interactions.tables import Interactions, LongArray

_NAMED = 3  # items that a reason names
_UNUSUAL = math.log(0.01)


class Log(Protocol):
    """Events with their ids and titles: a data set or a published model."""

    @property
    def interactions(self) -> Interactions:
        """The events."""

    @property
    def users(self) -> IdMap:
        """Ids of the rows."""

    @property
    def items(self) -> IdMap:
        """Ids of the columns."""

    @property
    def catalogue(self) -> Catalogue:
        """Titles, in the order of `items`."""


@dataclass(frozen=True)
class StrangeAccount:
    """One account of the ranking.

    Attributes
    ----------
    rank, user
        Its place from 1, and its id.
    items
        How many different items it has.
    p, p_size, p_taste
        How likely so strange an account is among ordinary ones: in all, by size, by taste.
    mean_fit, usual_fit
        How well its items fit on average, and how well those of accounts of such a length do.
    reason
        Why it is strange, or what is most unusual about it.
    """

    rank: int
    user: str
    items: int
    p: float
    p_size: float
    p_taste: float
    mean_fit: float
    usual_fit: float
    reason: str


@dataclass(frozen=True)
class OddEvent:
    """An item that fits an account badly whose other items fit.

    Attributes
    ----------
    rank, user, item, title
        Its place from 1, whose it is, and what.
    times
        How many events of it there are.
    last
        Time of the latest, microseconds since 1970 UTC; None where unknown.
    fit, mean_fit
        How well it fits, and the account's items on average.
    reason
        The same in words.
    """

    rank: int
    user: str
    item: str
    title: str
    times: int
    last: int | None
    fit: float
    mean_fit: float
    reason: str


def strangest_accounts(
    log: Log, anomalies: Anomalies, limit: int | None = None
) -> Iterator[StrangeAccount]:
    """Yield the strangest accounts, the strangest first; all where `limit` is None."""
    longer = np.sort(anomalies.lengths[anomalies.lengths > 0])
    for rank, user in enumerate(anomalies.ranking[:limit].tolist(), start=1):
        yield StrangeAccount(
            rank,
            log.users[user],
            int(anomalies.lengths[user]),
            math.exp(anomalies.log_p[user]),
            math.exp(anomalies.log_p_size[user]),
            math.exp(anomalies.log_p_taste[user]),
            float(anomalies.mean_fit[user]),
            float(anomalies.usual_fit[user]),
            _reason(log, anomalies, user, longer),
        )


def _reason(log: Log, anomalies: Anomalies, user: int, ascending: LongArray) -> str:
    size, taste = anomalies.log_p_size[user], anomalies.log_p_taste[user]
    length = int(anomalies.lengths[user])
    shorter = float(np.searchsorted(ascending, length)) / len(ascending)
    reasons = []
    if size < _UNUSUAL or size < taste:
        reasons.append(f"size: {_items(length)}, more than {_percent(shorter)} of accounts have")
    if taste < _UNUSUAL or not reasons:
        worst = anomalies.worst(user, _NAMED)
        titles = [log.catalogue.titles[item] for item in anomalies.fit.pairs.items[worst]]
        fit, usual = _percent(anomalies.mean_fit[user]), _percent(anomalies.usual_fit[user])
        reasons.append(f"taste: a mean fit of {fit}, usually {usual}; least {', '.join(titles)}")
    return "; ".join(reasons if size <= taste else reversed(reasons))


def odd_events(log: Log, anomalies: Anomalies, limit: int) -> Iterator[OddEvent]:
    """Yield the items that fit worst in accounts that else fit well, the oddest first."""
    pairs, events = anomalies.fit.pairs, log.interactions
    counts = np.bincount(pairs.of_event, minlength=len(pairs))
    for rank, pair in enumerate(anomalies.odd_pairs[:limit].tolist(), start=1):
        user, item = int(pairs.users[pair]), int(pairs.items[pair])
        own = slice(events.indptr[user], events.indptr[user + 1])
        yield OddEvent(
            rank,
            log.users[user],
            log.items[item],
            log.catalogue.titles[item],
            int(counts[pair]),
            None
            if events.times is None
            else int(events.times[own][pairs.of_event[own] == pair].max()),
            float(anomalies.fit.mean[pair]),
            float(anomalies.mean_fit[user]),
            f"{misfit(anomalies.fit.among_items[pair], anomalies.fit.among_users[pair])}; "
            f"the account's items fit {_percent(anomalies.mean_fit[user])} on average",
        )


def misfit(among_items: float, among_users: float) -> str:
    """Say how badly a pair fits."""
    return (
        f"{_percent(among_items)} of the other items suit the account less, and "
        f"{_percent(among_users)} of the other accounts suit the item less"
    )


def _items(length: int) -> str:
    return f"{length:,} item" if length == 1 else f"{length:,} items"


def _percent(share: float) -> str:
    """Return a share as a percentage that is 100 only where it is."""
    shown = math.floor(1000 * share) / 10
    return f"{shown:.1f} %" if shown > 99 and share < 1 else f"{round(100 * share)} %"
