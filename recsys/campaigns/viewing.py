"""Some users of a shard with their candidates, and what they do with them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from recsys.campaigns.hashing import HashArray
from recsys.campaigns.lists import DoubleArray, Lists
from recsys.campaigns.market import Market
from recsys.campaigns.spilled import Spilled
from recsys.interactions.tables import BoolArray, IntArray, LongArray


@dataclass(frozen=True, eq=False)
class View:
    """Some users of a shard with their candidates.

    Attributes
    ----------
    places
        int64 (n,): where they are among those of the shard who compete.
    entries
        Where their candidates lie among the shard's.
    """

    shard: int
    spilled: Spilled
    places: LongArray
    rows: IntArray
    ties: HashArray
    limited: BoolArray
    lists: Lists
    offered: BoolArray
    entries: LongArray

    @classmethod
    def of(cls, shard: int, spilled: Spilled, places: LongArray) -> View:
        """Return the users at these places of a shard."""
        lists = spilled.lists
        entries = entries_of(lists, places)
        return cls(
            shard,
            spilled,
            places,
            spilled.rows[places],
            spilled.ties[places],
            spilled.limited[places],
            lists.rows(places),
            spilled.offered[entries],
            entries,
        )

    def wanted(self, market: Market) -> BoolArray:
        """Return bool (entries,): whether the item holds the user, or would."""
        return market.wants(self.lists.items, *self._bids(slice(None)))

    def offer(self, market: Market, asked: BoolArray) -> None:
        """Make these offers."""
        market.offer(self.lists.items[asked], *self._bids(asked))

    def note(self, asked: BoolArray) -> None:
        """Write down that these offers are made."""
        self.spilled.offered[self.entries[asked]] = True

    def per_user(self, marks: BoolArray) -> LongArray:
        """Return int64 (n,): how many of each user's entries are marked."""
        return np.diff(counted(marks)[self.lists.offsets])

    def rank(self, marks: BoolArray) -> LongArray:
        """Return int64 (entries,): how many marked entries of the user come before each."""
        before = counted(marks)
        return before[:-1] - np.repeat(before[self.lists.offsets[:-1]], self.lists.counts)

    def keys(self, n_items: int) -> LongArray:
        """Return int64 (entries,): a number for each pair of user and item."""
        return np.repeat(self.places, self.lists.counts) * n_items + self.lists.items

    def _bids(self, some: BoolArray | slice) -> tuple[DoubleArray, HashArray, LongArray]:
        """Return z-score, hash and number of the user of each of these entries."""
        counts, lists = self.lists.counts, self.lists
        users = self.places + (self.shard << 32)
        spread = np.repeat(lists.spread, counts)[some]
        deviation = lists.scores[some] - np.repeat(lists.mean, counts)[some]
        z = np.divide(deviation, spread, out=np.zeros(len(spread)), where=spread > 0)
        return z, np.repeat(self.ties, counts)[some], np.repeat(users, counts)[some]


def only(lists: Lists, marks: BoolArray) -> Lists:
    """Return the lists with their marked entries alone."""
    before = counted(marks)
    return replace(
        lists,
        offsets=before[lists.offsets],
        items=lists.items[marks],
        scores=lists.scores[marks],
        own=(before[lists.offsets[:-1] + lists.own] - before[lists.offsets[:-1]]).astype(np.int32),
    )


def entries_of(lists: Lists, rows: LongArray) -> LongArray:
    """Return where the entries of these rows lie, one row after the other."""
    counts = lists.counts[rows]
    ends = np.cumsum(counts)
    return np.repeat(lists.offsets[rows] - ends + counts, counts) + np.arange(counts.sum())


def counted(marks: BoolArray) -> LongArray:
    """Return int64 (n + 1,): how many of the first are marked."""
    return np.concatenate([[0], np.cumsum(marks)]).astype(np.int64)
