"""How probable it is that a user takes an item: scores calibrated on users held out in training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from recsys.interactions.tables import BoolArray, FloatArray, HeldOut, Histories
from recsys.metrics import hits
from recsys.settings import validated
from recsys.topk import top_k

Doubles = npt.NDArray[np.float64]

FEATURES = 13
"""How many numbers `features` returns of an item."""

DEPTH = 100
"""Places of each list that are learnt from."""

_BATCH = 256
_LEAST_TAKEN = 20  # fewer say too little
_RIDGE = 1.0  # penalty on the squared weights, in events


class Scorer(Protocol):
    """Any fitted model."""

    def score(self, histories: Histories) -> FloatArray:
        """Return float32 (b, n_items)."""


@dataclass(frozen=True)
class Calibration:
    """A logistic regression from what is known of a list's items to the probability of each.

        p = 1 / (1 + exp(−w · (f − mean) / deviation − intercept))

    The m features f are those of `features`.

    Attributes
    ----------
    mean, deviation
        Of the features, m each.
    weights, intercept
        w and its constant.
    users, taken
        How many held-out users it was learnt from, and how many of their listed items they took.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    weights: tuple[float, ...]
    intercept: float
    users: int
    taken: int

    @classmethod
    def of(cls, described: Mapping[str, Any], where: str) -> Self | None:
        """Return what `described` returned, None of nothing or of another version's features."""
        if not described:
            return None
        found = validated(cls, described, f"{where}: calibration")
        sizes = {len(found.mean), len(found.deviation), len(found.weights)}
        return found if sizes == {FEATURES} else None

    def described(self) -> dict[str, Any]:
        """Return it as a manifest keeps it."""
        return asdict(self)

    def probabilities(self, features: Doubles) -> Doubles:
        """Return float64 (k,) for features (k, m)."""
        standard = (features - np.array(self.mean)) / np.array(self.deviation)
        return _logistic(standard @ np.array(self.weights) + self.intercept)


def features(
    scores: FloatArray, items: npt.NDArray[np.integer], length: int, shares: FloatArray
) -> Doubles:
    """Return what the probability of some items for one user goes by: float64 (k, m).

    The score as deviations from the user's mean (its own scale may change when a model learns from
    more users), the logarithms of its rank and of the history's length, and the logarithm of the
    share of users who have the item; squares and products of these.

    Parameters
    ----------
    scores
        float32 (n_items,): the user's, −inf for items that cannot be recommended.
    items
        (k,): codes of items with a finite score.
    length
        Different items of the history.
    shares
        float32 (n_items,): of the users that were learnt from, how many have each item.
    """
    there = scores[np.isfinite(scores)].astype(np.float64)
    own = scores[items].astype(np.float64)
    spread = there.std()
    z = (own - there.mean()) / (spread if spread > 0 else 1.0)
    there.sort()
    rank = np.log1p(len(there) - np.searchsorted(there, own, side="right"))
    popular = np.log(np.maximum(shares[items], 1e-6).astype(np.float64))
    long = np.full(len(items), np.log1p(length))
    return np.stack(
        [z, rank, popular, long, z * z, rank * rank, popular * popular, long * long,
         z * long, rank * long, popular * long, z * popular, z * rank],
        axis=1,
    )  # fmt: skip


def calibrate(model: Scorer, held_out: HeldOut, shares: FloatArray) -> Calibration | None:
    """Return how the lists that a model makes for held-out users foretell what they take.

    Parameters
    ----------
    model
        Fitted without those users.
    held_out
        What it is given of them, and what they took besides.
    shares
        float32 (n_items,): of the users that it learnt from, how many have each item.

    Returns
    -------
    None where they took too few of the items listed, or all, to say anything.
    """
    parts = list(listed_features(model, held_out, shares))
    taken = np.concatenate([took for _, took in parts]) if parts else np.zeros(0, np.bool_)
    n_taken = int(np.count_nonzero(taken))
    if not _LEAST_TAKEN <= n_taken < len(taken):
        return None
    every = np.concatenate([part for part, _ in parts])
    mean, deviation = every.mean(axis=0), every.std(axis=0)
    deviation[deviation == 0] = 1.0
    weights = _regression((every - mean) / deviation, taken)
    return Calibration(
        tuple(mean.tolist()),
        tuple(deviation.tolist()),
        tuple(weights[1:].tolist()),
        float(weights[0]),
        len(parts),
        n_taken,
    )


def listed_features(
    model: Scorer, held_out: HeldOut, shares: FloatArray, k: int = DEPTH
) -> Iterator[tuple[Doubles, BoolArray]]:
    """Yield of each held-out user's k best items the features, and which of them were taken.

    Users with nothing to be found are left out, and so are those without a history.
    """
    for _, users in held_out.batches(_BATCH):
        scores = users.mask_seen(np.array(model.score(users.given)))
        lists = top_k(scores, k)
        taken, lengths = hits(lists, users.target.matrix), np.diff(users.given.matrix.indptr)
        wanted = np.diff(users.target.matrix.indptr) * lengths
        for row in np.flatnonzero(wanted).tolist():
            items, _ = lists.row(row)
            length = int(lengths[row])
            yield features(scores[row], items, length, shares), taken[row, : len(items)]


def shares_of(histories: Histories) -> FloatArray:
    """Return the share of the users with a history who have each item: float32 (n_items,)."""
    matrix = histories.matrix
    counts = np.bincount(matrix.indices, minlength=matrix.shape[1])
    active = max(1, int(np.count_nonzero(np.diff(matrix.indptr))))
    shares: FloatArray = (counts / active).astype(np.float32)
    return shares


def _regression(standard: Doubles, taken: BoolArray) -> Doubles:
    """Return intercept and weights of the logistic regression: the penalised likelihood's best."""
    from scipy.optimize import minimize  # serving does not need it

    design = np.column_stack([np.ones(len(standard)), standard])  # (n, 1 + m)

    def loss(weights: Doubles) -> tuple[float, Doubles]:
        x, slopes = design @ weights, weights * np.append(0.0, np.ones(len(weights) - 1))
        likelihood = np.logaddexp(0, x).sum() - x[taken].sum()
        gradient = design.T @ (_logistic(x) - taken) + _RIDGE * slopes
        return float(likelihood + _RIDGE / 2 * slopes @ slopes), gradient

    start = np.zeros(design.shape[1])
    start[0] = np.log(taken.mean() / (1 - taken.mean()))
    best: Doubles = minimize(loss, start, jac=True, method="L-BFGS-B").x
    return best


def _logistic(x: Doubles) -> Doubles:
    p: Doubles = 0.5 * (1 + np.tanh(x / 2))
    return p
