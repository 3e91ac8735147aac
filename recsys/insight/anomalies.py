"""Accounts whose histories are unlike what others' are: in size, and in taste."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from recsys.insight.fit import Doubles, Fit
from recsys.interactions.tables import LongArray

_MOST, _LEAST = 400, 100  # accounts of about the same length that an account is compared with
_FACTOR = np.log(1.5)  # by which their lengths may differ, where that leaves the least number
_Z_OF_90 = float(norm.ppf(0.9))


@dataclass(frozen=True, eq=False)
class Anomalies:
    """How unusual each account is; p-values are small where an account is strange.

    All are natural logarithms, for the strangest are below what a float can hold.

    Attributes
    ----------
    fit
        How well each pair fits.
    lengths
        int64 (n_users,): distinct items of each account.
    mean_fit
        float64 (n_users,): mean fit of its pairs, NaN where it has none.
    usual_fit
        float64 (n_users,): its median among accounts of about the same length.
    log_p_size
        float64 (n_users,): of a history at least so long.
    log_p_taste
        float64 (n_users,): of a mean fit at most so high, among histories of such a length.
    log_p
        float64 (n_users,): both together, by Fisher's method.
    """

    fit: Fit
    lengths: LongArray
    mean_fit: Doubles
    usual_fit: Doubles
    log_p_size: Doubles
    log_p_taste: Doubles
    log_p: Doubles

    @property
    def ranking(self) -> LongArray:
        """int64 (n,): accounts with a history, the strangest first."""
        order = np.argsort(self.log_p, kind="stable")
        return np.asarray(order[self.lengths[order] > 0], np.int64)

    @property
    def odd_pairs(self) -> LongArray:
        """int64 (n_pairs,): pairs, first those that fit worst in accounts that else fit well."""
        gap = self.mean_fit[self.fit.pairs.users] - self.fit.mean
        return np.asarray(np.argsort(-gap, kind="stable"), np.int64)

    def worst(self, user: int, most: int) -> LongArray:
        """int64 (at most `most`,): the account's pairs that fit worst, the worst first."""
        start, end = np.searchsorted(self.fit.pairs.users, [user, user + 1])
        order = np.argsort(self.fit.mean[start:end], kind="stable")
        return np.asarray(start + order[:most], np.int64)


def find_anomalies(fit: Fit) -> Anomalies:
    """Return how unusual each account is, by the fit of what it has.

    The size of an account is the logarithm of its number of items, its taste the mean fit of its
    items over accounts of about the same number (the 400 nearest, within a factor of 1.5 unless
    those are fewer than 100). Of each the median m and the
    quantile q at 90 % (for taste, of what is strange) give a p-value, z being standard normal,

        p = P(z > (x − m) / s),  s = (q − m) / 1.2816

    so up to a tenth of bad accounts move neither. Fisher: −2 (ln p_size + ln p_taste) is χ² with
    four degrees of freedom. A short history is not unusual: every account began with one.

    Parameters
    ----------
    fit
        How well each pair fits; `recsys.insight.fit.fit_of` says.
    """
    lengths, users = fit.pairs.per_user, fit.pairs.users
    there, several = np.flatnonzero(lengths), np.flatnonzero(lengths > 1)
    mean_fit, usual_fit = np.full((2, len(lengths)), np.nan)
    mean_fit[there] = np.bincount(users, fit.mean, len(lengths))[there] / lengths[there]
    usual_fit[there] = mean_fit[there]
    log_p_size, log_p_taste = np.zeros((2, len(lengths)))
    log_p_size[there] = _log_p(np.log(lengths[there]), *_usual(np.log(lengths[there])))
    log_p_taste[there] = np.log(0.5)  # of a single item, which has nothing to be judged by
    middle, spread = _usual_among_alike(lengths[several], -mean_fit[several])
    log_p_taste[several] = _log_p(-mean_fit[several], middle, spread)
    usual_fit[several] = -middle
    log_p = _fisher(log_p_size + log_p_taste)
    return Anomalies(fit, lengths, mean_fit, usual_fit, log_p_size, log_p_taste, log_p)


def _usual_among_alike(lengths: LongArray, values: Doubles) -> tuple[Doubles, Doubles]:
    """Return median and spread of the values of accounts of about each account's length."""
    order = np.argsort(lengths, kind="stable")
    logs, ordered = np.log(lengths[order]), values[order]
    distinct, of_account = np.unique(lengths, return_inverse=True)
    at = np.log(distinct)
    (low, high), (least_low, least_high) = (_nearest(logs, at, n) for n in (_MOST, _LEAST))
    low = np.maximum(low, np.minimum(np.searchsorted(logs, at - _FACTOR), least_low))
    high = np.minimum(high, np.maximum(np.searchsorted(logs, at + _FACTOR, "right"), least_high))
    usual = [_usual(ordered[start:end]) for start, end in zip(low, high, strict=True)]
    middle, spread = np.array(usual).reshape(-1, 2).T
    return middle[of_account], spread[of_account]


def _nearest(ascending: Doubles, at: Doubles, n: int) -> tuple[LongArray, LongArray]:
    """Return from where to where the n values nearest to each of `at` lie."""
    # a window moves on once the value that comes next is nearer than its first
    turns = (ascending[:-n] + ascending[n:]) / 2
    low = (np.searchsorted(turns, at) + np.searchsorted(turns, at, "right")) // 2
    return low, low + n


def _usual(values: Doubles) -> tuple[float, float]:
    """Return the median, and the deviation of a normal law with the same 90 % quantile."""
    middle, high = np.quantile(values, [0.5, 0.9])
    spread = (high - middle) / _Z_OF_90
    if spread <= 1e-9:  # most are alike, so that what is not is strange
        spread = max(np.std(values), 1e-9)
    return float(middle), float(spread)


def _log_p(values: Doubles, middle: Doubles | float, spread: Doubles | float) -> Doubles:
    """Return ln P(z > value) under a normal law."""
    log_p: Doubles = norm.logsf((values - middle) / spread)
    return log_p


def _fisher(log_product: Doubles) -> Doubles:
    """Return ln P(χ²₄ > −2 ln Π p), which is ln(Π p (1 − ln Π p))."""
    combined: Doubles = log_product + np.log1p(-log_product)
    return combined
