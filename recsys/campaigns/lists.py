"""Lists of many users as arrays: no object for each item, so that a million lists are cheap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from recsys.campaigns.hashing import HashArray
from recsys.interactions.tables import BoolArray, FloatArray, IntArray, LongArray

DoubleArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Lists:
    """Lists of several users, one after the other.

    Attributes
    ----------
    offsets
        int64 (n + 1,): user i's entries are `[offsets[i], offsets[i + 1])`.
    items
        int32 (total,): numbers of the run's items, in the user's order of preference.
    scores
        float32 (total,): the model's score of each for the user.
    own
        int32 (n,): so many entries of each list are the model's, best first; popular items that
        fill it up come after them.
    mean, spread
        float64 (n,): mean and standard deviation of the scores of all items that the rules leave
        the user, the listed ones and the others.
    complete
        bool (n,): nothing is left beyond the list.
    """

    offsets: LongArray
    items: IntArray
    scores: FloatArray
    own: IntArray
    mean: DoubleArray
    spread: DoubleArray
    complete: BoolArray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def counts(self) -> LongArray:
        """int64 (n,): length of each list."""
        return np.diff(self.offsets)

    def row(self, index: int) -> slice:
        """Return where the user's entries are."""
        return slice(int(self.offsets[index]), int(self.offsets[index + 1]))

    def rows(self, index: npt.NDArray[np.integer]) -> Lists:
        """Return the lists of the users at these places, in that order."""
        lengths = self.counts[index]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        entries = np.repeat(self.offsets[index] - offsets[:-1], lengths) + np.arange(offsets[-1])
        return Lists(
            offsets,
            self.items[entries],
            self.scores[entries],
            self.own[index],
            self.mean[index],
            self.spread[index],
            self.complete[index],
        )

    @classmethod
    def empty(cls, n: int) -> Self:
        """Return n lists of nothing."""
        none = np.zeros(n)
        return cls(
            np.zeros(n + 1, np.int64),
            np.zeros(0, np.int32),
            np.zeros(0, np.float32),
            np.zeros(n, np.int32),
            none,
            none,
            np.ones(n, np.bool_),
        )

    @classmethod
    def joined(cls, lists: Sequence[Lists]) -> Self:
        """Return the lists of all of them, one after the other."""
        lengths = np.concatenate([[0], *(some.counts for some in lists)])
        columns = ("items", "scores", "own", "mean", "spread", "complete")
        return cls(
            np.cumsum(lengths).astype(np.int64),
            *(np.concatenate([getattr(some, name) for some in lists]) for name in columns),
        )


@dataclass(frozen=True, eq=False)
class Candidates:
    """What some users of a shard may be given of items of which there are too few for everyone.

    Attributes
    ----------
    rows
        int32 (m,): the users' rows in the shard.
    ties
        uint64 (m,): hashes that decide between equals; the lower goes first.
    aside
        bool (m,): who takes nothing from the others, and is only told what they would get.
    lists
        The candidates, best first.
    """

    rows: IntArray
    ties: HashArray
    aside: BoolArray
    lists: Lists
