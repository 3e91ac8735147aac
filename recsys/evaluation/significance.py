"""How sure a mean and a difference of means are: resampled over users.

A user with several numbers is drawn, or has its signs changed, as a whole: a row is then the sum of
its numbers.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]

_CELLS = 4_000_000  # numbers drawn at once: 32 MB


def bootstrap_intervals(
    values: Values,
    rng: np.random.Generator,
    *,
    counts: Values | None = None,
    resamples: int = 1000,
) -> Values:
    """Return the 95 % percentile interval of each column's mean, users drawn with replacement.

    Parameters
    ----------
    values
        float64 (n_users, m); a NaN is left out of its column's means.
    rng
        Draws the users.
    counts
        (n_users,): how many numbers each row is the sum of, where that is not one. The mean is then
        Σ values / Σ counts.
    resamples
        How many draws of n_users.

    Returns
    -------
    float64 (m, 2), NaN for a column without a value.
    """
    n, m = values.shape
    valid = ~np.isnan(values)
    filled = np.where(valid, values, 0.0)
    present = valid * np.ones((n, 1)) if counts is None else valid * counts[:, None]
    means = np.empty((resamples, m))
    step = max(1, _CELLS // max(n, 1))
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        drawn = rng.integers(0, n, (rows, n)) + np.arange(rows)[:, None] * n
        times = np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n).astype(np.float64)
        drawn_counts = times @ present
        means[start : start + rows] = np.divide(
            times @ filled, drawn_counts, out=np.full((rows, m), np.nan), where=drawn_counts > 0
        )
    intervals = np.full((m, 2), np.nan)
    some = valid.any(axis=0)
    intervals[some] = np.nanpercentile(means[:, some], [2.5, 97.5], axis=0).T
    return intervals


def paired_p_values(values: Values, rng: np.random.Generator, *, flips: int = 10_000) -> Values:
    """Return the two-sided p-value of each pair of columns having the same mean.

    A paired permutation test: were two models equal, either's number could be the other's, so the
    sign of each user's difference d is a coin's throw.

        p = (1 + #{|Σ ±d| ≥ |Σ d|}) / (1 + flips)

    All pairs share the throws, as Σ ±(a − b) = Σ ±a − Σ ±b.

    Parameters
    ----------
    values
        float64 (n_users, m), one column a model, without NaN; sums where users have several.
    rng
        Throws the coins.
    flips
        How many throws of n_users.

    Returns
    -------
    float64 (m, m), 1 on the diagonal.
    """
    n, m = values.shape
    observed = np.abs(_differences(values.sum(axis=0)))
    observed -= 1e-12 * (1 + np.abs(values).sum())  # equal sums differ by rounding
    extreme = np.zeros((m, m))
    step = max(1, _CELLS // max(n, 1))
    for start in range(0, flips, step):
        rows = min(step, flips - start)
        bits = np.unpackbits(np.frombuffer(rng.bytes(rows * n // 8 + 1), np.uint8), count=rows * n)
        sums = (2.0 * bits.reshape(rows, n) - 1.0) @ values  # (rows, m)
        extreme += (np.abs(_differences(sums)) >= observed).sum(axis=0)
    p_values: Values = (1 + extreme) / (1 + flips)
    return p_values


def _differences(sums: Values) -> Values:
    """Return every column minus every other: (…, m) to (…, m, m)."""
    difference: Values = sums[..., :, None] - sums[..., None, :]
    return difference


def holm(p_values: Values) -> Values:
    """Return the p-values, (m,), corrected for there being m of them (Holm 1979)."""
    order = np.argsort(p_values, kind="stable")
    m = len(p_values)
    corrected = np.empty(m)
    corrected[order] = np.minimum(1, np.maximum.accumulate(p_values[order] * np.arange(m, 0, -1)))
    return corrected
