"""The one place where interactions become a matrix: how much, how often and how recently count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Self

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from pydantic import Field

from recsys.errors import SettingsError
from recsys.interactions.tables import (
    MICROSECONDS_PER_DAY,
    Histories,
    Interactions,
    LongArray,
)
from recsys.settings import Search

Doubles = npt.NDArray[np.float64]
HalfLife = Annotated[float, Field(gt=0)] | None

HALF_LIVES = Search(15.0, 3000.0, log=True, off=True, needs="times")

_LEAST = np.float32(2.0**-40)
"""Least weight of a training row: however old, its square is still above 0 in float32."""


@dataclass(frozen=True)
class Weighting:
    """What the weight of a (user, item) pair means.

    With d the number of days on which the pair has an event, v the sum of its values and a the age
    in days of its latest event at the reference time,

        strength = 1 + per_day_bought · ln d + value · ln(1 + max(v, 0))
        learnt from:  w = strength · 0.5^(a / train_half_life_days), and baskets times that of a day
        scored:       w = strength · 0.5^(a / half_life_days) / (the row's largest)

    A row that is learnt from keeps its age, so that users of long ago count less; to a row that is
    scored only the proportions matter, and its largest weight is 1. All zero or None (the default)
    makes every weight 1 and every row a user's.

    Attributes
    ----------
    half_life_days
        Age in days at which a pair counts half; None switches ageing off.
    train_half_life_days
        Another such age for what is learnt from; None takes half_life_days there, too.
    per_day_bought
        What a pair gains per e-fold of days on which it happened.
    value
        What a pair gains per e-fold of its summed value (quantity, rating, seconds watched).
    baskets
        Learn from what went together, too: beside a user's row stands a row for each day (UTC) on
        which the user took several items, weighed by this. 0 leaves them out. A history that is
        scored is always the user's whole.
    """

    half_life_days: Annotated[HalfLife, HALF_LIVES] = None
    train_half_life_days: Annotated[HalfLife, HALF_LIVES] = None
    per_day_bought: Annotated[float, Field(ge=0), Search(0.0, 1.0, needs="times")] = 0.0
    value: Annotated[float, Field(ge=0), Search(0.0, 0.5, needs="values")] = 0.0
    baskets: Annotated[float, Field(ge=0), Search(0.0, 3.0, needs="times")] = 0.0

    def histories(self, interactions: Interactions, at: int | None = None) -> Histories:
        """Return one row a user, to be scored; the largest weight of each is 1.

        Parameters
        ----------
        interactions
            n users' events.
        at
            Reference time, microseconds since 1970 UTC; events after it count as brand-new. The
            newest event where it is None.

        Raises
        ------
        SettingsError
            A weight asks for times or values that the interactions do not have.
        """
        self._check(interactions)
        pairs = _Pairs.of(interactions)
        weights = self._strength(interactions, pairs)
        if self.half_life_days and pairs.latest is not None:
            age = _age(pairs.latest, at)
            youngest = np.full(interactions.n_users, np.inf)
            np.minimum.at(youngest, pairs.users, age)
            # the row is scaled anyway, and so the youngest pair of an old row does not vanish
            weights *= np.exp2((youngest[pairs.users] - age) / self.half_life_days)
        largest = np.zeros(interactions.n_users)
        np.maximum.at(largest, pairs.users, weights)
        return pairs.histories(weights / largest[pairs.users], np.finfo(np.float32).tiny)

    def training(self, interactions: Interactions, at: int | None = None) -> Histories:
        """Return the rows to learn from; parameters and errors as in `histories`.

        The first n are the users'; those of `baskets` come below.
        """
        self._check(interactions)
        rows = self._aged(interactions, at)
        if not self.baskets:
            return rows
        days = self._aged(interactions.baskets(), at)
        together = days.rows(np.flatnonzero(np.diff(days.matrix.indptr) > 1))
        together.matrix.data *= np.float32(self.baskets)
        return rows.above(together)

    def _aged(self, interactions: Interactions, at: int | None) -> Histories:
        """Return a row a user, each pair as strong as it is now."""
        pairs = _Pairs.of(interactions)
        weights = self._strength(interactions, pairs)
        half_life = self.train_half_life_days or self.half_life_days
        if half_life and pairs.latest is not None:
            weights *= np.exp2(-_age(pairs.latest, at) / half_life)
        return pairs.histories(weights, _LEAST)

    def _check(self, interactions: Interactions) -> None:
        timed = ("half_life_days", "train_half_life_days", "per_day_bought", "baskets")
        if interactions.times is None and any(getattr(self, name) for name in timed):
            raise SettingsError(f"{', '.join(timed[:-1])} and {timed[-1]} need a time column")
        if interactions.values is None and self.value:
            raise SettingsError("the value weight needs a value column")

    def _strength(self, interactions: Interactions, pairs: _Pairs) -> Doubles:
        """Return (n_pairs,): what each pair weighs when brand-new."""
        n_pairs = len(pairs.items)
        weights = np.ones(n_pairs)
        if self.per_day_bought and interactions.times is not None:
            day = interactions.times // MICROSECONDS_PER_DAY
            distinct = np.unique(np.stack([pairs.of_event, day]), axis=1)[0]
            weights += self.per_day_bought * np.log(np.bincount(distinct, minlength=n_pairs))
        if self.value and interactions.values is not None:
            total = np.bincount(pairs.of_event, weights=interactions.values, minlength=n_pairs)
            weights += self.value * np.log1p(np.maximum(total, 0))
        return weights


@dataclass(frozen=True, eq=False)
class _Pairs:
    """The distinct pairs of user and item, ascending: by user, then item.

    `of_event` is the pair of each event, `latest` the time of each pair's latest.
    """

    users: LongArray
    items: LongArray
    of_event: LongArray
    latest: LongArray | None
    shape: tuple[int, int]

    @classmethod
    def of(cls, interactions: Interactions) -> Self:
        shape = (interactions.n_users, interactions.n_items)
        key = interactions.users.astype(np.int64) * shape[1] + interactions.items
        pairs, of_event = np.unique(key, return_inverse=True)
        latest = None
        if interactions.times is not None:
            latest = np.full(len(pairs), np.iinfo(np.int64).min)
            np.maximum.at(latest, of_event, interactions.times)
        return cls(pairs // shape[1], pairs % shape[1], of_event, latest, shape)

    def histories(self, weights: Doubles, least: np.float32) -> Histories:
        """Return the pairs with these weights, none below `least`."""
        indptr = np.searchsorted(self.users, np.arange(self.shape[0] + 1))
        data = np.maximum(weights.astype(np.float32), least)
        matrix = sp.csr_array((data, self.items.astype(np.int32), indptr), shape=self.shape)
        return Histories(matrix, self.latest)


def _age(latest: LongArray, at: int | None) -> Doubles:
    """Return days from each time to the reference time, 0 for what comes after it."""
    if at is None:
        at = int(latest.max()) if len(latest) else 0
    age: Doubles = np.maximum(at - latest, 0) / MICROSECONDS_PER_DAY
    return age
