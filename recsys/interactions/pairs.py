"""Distinct (user, item) pairs: what splits hold out, so that all events of a pair go together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recsys.interactions.tables import BoolArray, IntArray, Interactions, LongArray


@dataclass(frozen=True, eq=False)
class Pairs:
    """The distinct pairs of some interactions, by user, then item.

    Attributes
    ----------
    users, items
        int32 (n_pairs,): codes.
    of_event
        int64 (n_events,): the pair of each event.
    n_users
        Number of users, those without a pair included.
    """

    users: IntArray
    items: IntArray
    of_event: LongArray
    n_users: int

    @classmethod
    def of(cls, interactions: Interactions) -> Pairs:
        """Return the pairs of `interactions`."""
        n_items = max(interactions.n_items, 1)
        key = interactions.users.astype(np.int64) * n_items + interactions.items
        pairs, of_event = np.unique(key, return_inverse=True)
        return cls(
            (pairs // n_items).astype(np.int32),
            (pairs % n_items).astype(np.int32),
            of_event,
            interactions.n_users,
        )

    def __len__(self) -> int:
        return len(self.users)

    def keys(self, n_items: int) -> LongArray:
        """int64 (n_pairs,): one ascending number a pair, comparable for one `n_items`."""
        return self.users.astype(np.int64) * n_items + self.items

    @property
    def per_user(self) -> LongArray:
        """int64 (n_users,): how many distinct items each user has."""
        return np.bincount(self.users, minlength=self.n_users)

    def drawn(self, counts: npt.NDArray[np.integer], rng: np.random.Generator) -> BoolArray:
        """Choose `counts[u]`, (n_users,), of each user's pairs at random: bool (n_pairs,)."""
        order = np.lexsort((rng.random(len(self)), self.users))  # shuffled within each user
        per_user = self.per_user
        place = np.arange(len(self)) - np.repeat(np.cumsum(per_user) - per_user, per_user)
        chosen = np.zeros(len(self), np.bool_)
        chosen[order] = place < counts[self.users]  # `users` is the same before and after `order`
        return chosen
