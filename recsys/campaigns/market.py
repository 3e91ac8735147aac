"""The items' side of dealing out: what each holds, and whom it would take."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from recsys.campaigns.hashing import HashArray
from recsys.campaigns.lists import DoubleArray
from recsys.interactions.tables import BoolArray, IntArray, LongArray

_PENDING = 2**19
"""Offers that wait, at least, until items choose among them."""

NO_LIMIT = 2**62
"""A quota that no number of users reaches."""


class Market:
    """Items that each hold the best of the users who offered themselves, up to a quota.

    A user who was let go is not wanted back: what an item holds only becomes better. So it makes
    no difference when an item chooses, and offers are gathered until many can be sorted together.

    Parameters
    ----------
    quota
        int64 (n_items,): how many users each item may hold.
    """

    def __init__(self, quota: npt.NDArray[np.int64]) -> None:
        n = len(quota)
        self._quota = quota
        self._held: dict[int, tuple[DoubleArray, HashArray, LongArray]] = {}
        self._n_held = self._n_pending = 0
        self._pending: list[tuple[IntArray, DoubleArray, HashArray, LongArray]] = []
        self._let_go: list[LongArray] = []
        # the worst that is held by an item with no place left: z, tie, user
        self._least = np.where(quota > 0, -np.inf, np.inf)
        self._tie = np.full(n, np.iinfo(np.uint64).max, np.uint64)
        self._user = np.full(n, np.iinfo(np.int64).max, np.int64)

    def wants(
        self, items: IntArray, z: DoubleArray, ties: HashArray, users: LongArray
    ) -> BoolArray:
        """Return bool (n,): whether the item holds the user, or would take the user's offer."""
        least, tie = self._least[items], self._tie[items]
        first = (ties < tie) | ((ties == tie) & (users <= self._user[items]))
        return np.asarray((z > least) | ((z == least) & first), np.bool_)

    def offer(self, items: IntArray, z: DoubleArray, ties: HashArray, users: LongArray) -> None:
        """Take offers of users to items that want them."""
        limited = self._quota[items] < NO_LIMIT
        offers = (items[limited], z[limited], ties[limited], users[limited])
        self._pending.append(offers)
        self._n_pending += len(offers[0])
        if self._n_pending > max(_PENDING, self._n_held // 2):
            self._choose()

    def settle(self) -> LongArray:
        """Return the users who were let go since this was last asked; no offer is waiting then."""
        self._choose()
        users = np.unique(np.concatenate([np.zeros(0, np.int64), *self._let_go]))
        self._let_go = []
        return users

    def _choose(self) -> None:
        """Let items keep the best of what they hold and were offered."""
        if not self._n_pending:
            return
        touched = np.unique(np.concatenate([items for items, *_ in self._pending]))
        before = [
            (np.full(len(own[0]), item, np.int32), *own)
            for item in touched.tolist()
            if (own := self._held.get(item)) is not None
        ]
        items, z, ties, users = map(np.concatenate, zip(*self._pending, *before, strict=True))
        order = np.lexsort((users, ties, -z, items))
        items, z, ties, users = items[order], z[order], ties[order], users[order]
        starts = np.searchsorted(items, touched)
        lengths = np.diff(np.append(starts, len(items)))
        kept = np.minimum(lengths, self._quota[touched])
        rank = np.arange(len(items)) - np.repeat(starts, lengths)
        self._let_go.append(users[rank >= np.repeat(kept, lengths)])
        for item, start, count in zip(
            touched.tolist(), starts.tolist(), kept.tolist(), strict=True
        ):
            some = slice(start, start + count)
            self._held[item] = z[some].copy(), ties[some].copy(), users[some].copy()
        self._n_held += int(kept.sum()) - sum(len(own[0]) for own in before)
        full = kept == self._quota[touched]
        worst = (starts + kept - 1)[full]
        places = touched[full]
        self._least[places], self._tie[places] = z[worst], ties[worst]
        self._user[places] = users[worst]
        self._pending, self._n_pending = [], 0
