"""The one place where interactions become a matrix: how much, how often and how recently count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import scipy.sparse as sp
from pydantic import Field

from recsys.errors import SettingsError
from recsys.interactions.tables import (
    MICROSECONDS_PER_DAY,
    FloatArray,
    Histories,
    Interactions,
    LongArray,
)


@dataclass(frozen=True)
class Weighting:
    """What the weight of a (user, item) pair means.

    With d the number of days on which the pair has an event, v the sum of its values and a the age
    in days of its latest event at the reference time,

        w = (1 + per_day_bought · ln d + value · ln(1 + max(v, 0))) · 0.5^(a / half_life_days)

    and each row is then scaled so that its largest weight is 1. All zero or None (the default)
    makes every weight 1.

    Attributes
    ----------
    half_life_days
        Age in days at which a pair counts half; None switches ageing off.
    per_day_bought
        What a pair gains per e-fold of days on which it happened.
    value
        What a pair gains per e-fold of its summed value (quantity, rating, seconds watched).
    """

    half_life_days: Annotated[float, Field(gt=0)] | None = None
    per_day_bought: Annotated[float, Field(ge=0)] = 0.0
    value: Annotated[float, Field(ge=0)] = 0.0

    def histories(self, interactions: Interactions, at: int | None = None) -> Histories:
        """Return one weighted row a user.

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
        shape = (interactions.n_users, interactions.n_items)
        key = interactions.users.astype(np.int64) * shape[1] + interactions.items
        pairs, pair_of = np.unique(key, return_inverse=True)  # ascending: by user, then item
        users, items = pairs // shape[1], pairs % shape[1]
        latest = None
        if interactions.times is not None:
            latest = np.full(len(pairs), np.iinfo(np.int64).min)
            np.maximum.at(latest, pair_of, interactions.times)
        indptr = np.searchsorted(users, np.arange(shape[0] + 1))
        weights = self._weights(interactions, pair_of, latest, at)
        matrix = sp.csr_array(
            (_scaled(weights, users, shape[0]), items.astype(np.int32), indptr), shape=shape
        )
        return Histories(matrix, latest)

    def _check(self, interactions: Interactions) -> None:
        if interactions.times is None and (self.half_life_days or self.per_day_bought):
            raise SettingsError("half_life_days and per_day_bought need a time column")
        if interactions.values is None and self.value:
            raise SettingsError("the value weight needs a value column")

    def _weights(
        self,
        interactions: Interactions,
        pair_of: LongArray,
        latest: LongArray | None,
        at: int | None,
    ) -> FloatArray:
        n_pairs = int(pair_of.max()) + 1 if len(pair_of) else 0
        weights = np.ones(n_pairs)
        if self.per_day_bought and interactions.times is not None:
            day = interactions.times // MICROSECONDS_PER_DAY
            distinct = np.unique(np.stack([pair_of, day]), axis=1)[0]
            weights += self.per_day_bought * np.log(np.bincount(distinct, minlength=n_pairs))
        if self.value and interactions.values is not None:
            total = np.bincount(pair_of, weights=interactions.values, minlength=n_pairs)
            weights += self.value * np.log1p(np.maximum(total, 0))
        if self.half_life_days and latest is not None and n_pairs:
            reference = int(latest.max()) if at is None else at
            age = np.maximum(reference - latest, 0) / MICROSECONDS_PER_DAY
            weights *= np.exp2(-age / self.half_life_days)
        return weights.astype(np.float32)


def _scaled(weights: FloatArray, users: LongArray, n_users: int) -> FloatArray:
    """Scale each user's weights so that the largest is 1; none becomes 0, however old."""
    largest = np.zeros(n_users, np.float32)
    np.maximum.at(largest, users, weights)
    scaled: FloatArray = np.maximum(weights / largest[users], np.finfo(np.float32).tiny)
    return scaled
