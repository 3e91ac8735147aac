"""Events that were probably not meant: what fits worst, unless it was taken again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recsys.errors import UsageError
from recsys.insight.fit import Doubles, Fit, Judge
from recsys.interactions.tables import MICROSECONDS_PER_DAY, BoolArray, Interactions

JUDGES = (Judge(), Judge(settings={}))
"""The stern judge, who finds more noise, and the one that recommends, whom less of it confuses."""

ITEM_SHARE = 0.25
"""What an item's rank among the items counts; the rest is the account's rank among the accounts.

The first finds more noise, but in rare items, which a recommender then knows less of.
"""


@dataclass(frozen=True, eq=False)
class Noise:
    """Which pairs are taken for noise.

    Attributes
    ----------
    fit
        How well each pair fits.
    score
        float64 (n_pairs,): the two shares of the fit weighed; low is noise.
    again
        bool (n_pairs,): taken on several days, so meant.
    noise
        bool (n_pairs,): taken for noise.
    """

    fit: Fit
    score: Doubles
    again: BoolArray
    noise: BoolArray

    @property
    def of_event(self) -> BoolArray:
        """Whether each event is of a pair taken for noise: bool (n_events,)."""
        return self.noise[self.fit.pairs.of_event]


def find_noise(interactions: Interactions, fit: Fit, share: float) -> Noise:
    """Return which pairs are noise: of those not taken on several days the worst-fitting.

    Parameters
    ----------
    interactions
        The log.
    fit
        How well its pairs fit; `recsys.insight.fit.fit_of` says, best with `JUDGES`.
    share
        Of all pairs, how many are taken for noise, at most; no account loses its last item.

    Raises
    ------
    UsageError
        A share that is not above 0 and below 1.
    """
    check_share(share)
    score = ITEM_SHARE * fit.among_items + (1 - ITEM_SHARE) * fit.among_users
    again = _taken_again(interactions, fit)
    ranked = np.argsort(np.where(again, np.inf, score), kind="stable")
    noise = np.zeros(len(score), np.bool_)
    noise[ranked[: round(share * len(score))]] = True
    noise &= ~again
    noise[_best_of_each(fit, score)] = False
    return Noise(fit, score, again, noise)


def check_share(share: float) -> None:
    """Refuse a share that is not above 0 and below 1."""
    if not 0 < share < 1:
        raise UsageError(f"--share {share:g}: it must be above 0 and below 1")


def _taken_again(interactions: Interactions, fit: Fit) -> BoolArray:
    """Say which pairs have events on several days; none without times."""
    n_pairs = len(fit.pairs)
    if interactions.times is None:
        return np.zeros(n_pairs, np.bool_)
    day = interactions.times // MICROSECONDS_PER_DAY
    first, last = np.full(n_pairs, np.iinfo(np.int64).max), np.full(n_pairs, np.iinfo(np.int64).min)
    np.minimum.at(first, fit.pairs.of_event, day)
    np.maximum.at(last, fit.pairs.of_event, day)
    again: BoolArray = last > first
    return again


def _best_of_each(fit: Fit, score: Doubles) -> BoolArray:
    """Say which pair fits best in its account."""
    users = fit.pairs.users
    order = np.lexsort((-score, users))
    best = np.zeros(len(users), np.bool_)
    best[order[np.diff(users[order], prepend=-1) > 0]] = True
    return best
