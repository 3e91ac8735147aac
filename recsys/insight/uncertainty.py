"""How well probabilities hold: lists of held-out users, and what of them they took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recsys.errors import DataError
from recsys.evaluation.fitting import Fit, fit_with_curves
from recsys.evaluation.significance import paired_p_values
from recsys.interactions.parts import Split
from recsys.interactions.tables import BoolArray, HeldOut, LongArray
from recsys.interactions.weighting import Weighting
from recsys.metrics import hits
from recsys.models.base import Model, RunOptions
from recsys.models.registry import make_model
from recsys.models.variational import Variational
from recsys.recommender.calibration import calibrate, listed_features, shares_of
from recsys.recommender.uncertainty import stabilities
from recsys.topk import top_k

Doubles = npt.NDArray[np.float64]

BINS = 10
SERVED = 20


@dataclass(frozen=True, eq=False)
class Bin:
    """Listed items of about the same probability: its mean, what share was taken, how many."""

    said: float
    taken: float
    n: int


@dataclass(frozen=True, eq=False)
class Calibrated:
    """A model's probabilities on test users.

    Attributes
    ----------
    model
        Its name.
    bins
        Ten of as many items each, by probability.
    ece
        Expected calibration error: Σ_bins n/N |said − taken|.
    brier, brier_rank, brier_base
        Mean squared error of the probabilities, of the share taken at each rank, and of the share
        taken at all, all learnt from validation users.
    p_rank, p_base
        How likely the probabilities would be better by chance: paired over users, two-sided.
    users, items
        How many test users, and items of their lists.
    stable
        The same bins by stability, of variational models; else none.
    """

    model: str
    bins: tuple[Bin, ...]
    ece: float
    brier: float
    brier_rank: float
    brier_base: float
    p_rank: float
    p_base: float
    users: int
    items: int
    stable: tuple[Bin, ...] = ()


def measure_uncertainty(
    name: str,
    split: Split,
    weighting: Weighting,
    options: RunOptions,
    *,
    fit: Fit | None = None,
    k: int = SERVED,
) -> Calibrated:
    """Calibrate a model on a split's validation users and test it on its test users.

    Parameters
    ----------
    name
        A registered model, taken with its defaults.
    split
        Both kinds of users are in none of the data that the model at hand learns from.
    weighting
        What weights mean.
    options
        Seed and device.
    fit
        The model fitted on the split, where it is at hand.
    k
        Length of the lists.

    Raises
    ------
    DataError
        The validation users took too few of the items listed.
    """
    training = split.training
    fit = fit or fit_with_curves(name, {}, weighting, training, options)
    model = fit.chose or make_model(name).fit(
        weighting.training(training.train, training.train_at), options=options
    )
    validation = training.validation.held_out(weighting)
    shares = shares_of(Weighting().histories(training.train))
    calibration = calibrate(model, validation, shares)
    if calibration is None:
        raise DataError(f"{name}: its validation users took too few of the items listed")
    rank, base = _by_rank(model, validation, k)
    test = split.test.held_out(weighting)
    full = shares_of(Weighting().histories(training.full))
    probabilities, taken = [], []
    for figures, took in listed_features(fit.model, test, full, k):
        probabilities.append(calibration.probabilities(figures))
        taken.append(took)
    errors = np.array(
        [
            [_error(p, took), _error(rank[: len(took)], took), _error(base, took)]
            for p, took in zip(probabilities, taken, strict=True)
        ]
    )
    p_values = paired_p_values(errors, np.random.default_rng(options.seed))
    said, found = np.concatenate(probabilities), np.concatenate(taken)
    bins = binned(said, found)
    brier = errors.sum(axis=0) / len(found)
    return Calibrated(
        model=name,
        bins=bins,
        ece=sum(one.n * abs(one.said - one.taken) for one in bins) / len(found),
        brier=float(brier[0]),
        brier_rank=float(brier[1]),
        brier_base=float(brier[2]),
        p_rank=float(p_values[0, 1]),
        p_base=float(p_values[0, 2]),
        users=len(taken),
        items=len(found),
        stable=_stable(fit.model, test, k),
    )


def binned(said: Doubles, taken: BoolArray, n_bins: int = BINS) -> tuple[Bin, ...]:
    """Return bins of as many items each, from the least likely to the likeliest."""
    order = np.argsort(said, kind="stable")
    parts = [part for part in np.array_split(order, n_bins) if len(part)]
    return tuple(
        Bin(float(said[part].mean()), float(taken[part].mean()), len(part)) for part in parts
    )


def _error(said: Doubles | float, taken: BoolArray) -> float:
    return float(np.square(said - taken).sum())


def _by_rank(model: Model[object], users: HeldOut, k: int) -> tuple[Doubles, float]:
    """Return what share of the items at each rank was taken, (k,), and of all of them."""
    counts = np.zeros((2, k))
    for took in _taken(model, users, k):
        counts[0, : len(took)] += took
        counts[1, : len(took)] += 1
    total = counts.sum(axis=1)
    return counts[0] / np.maximum(counts[1], 1), float(total[0] / max(total[1], 1))


def _taken(model: Model[object], users: HeldOut, k: int) -> Sequence[BoolArray]:
    found: list[BoolArray] = []
    for _, some in users.batches(256):
        lists = top_k(some.mask_seen(np.array(model.score(some.given))), k)
        hit = hits(lists, some.target.matrix)
        there = np.diff(some.target.matrix.indptr) * np.diff(some.given.matrix.indptr)
        found += [hit[row, : lists.counts[row]] for row in np.flatnonzero(there).tolist()]
    return found


def _stable(model: Model[object], users: HeldOut, k: int) -> tuple[Bin, ...]:
    """Return how often items were taken by how stable they were."""
    if not isinstance(model, Variational):
        return ()
    shares: list[Doubles] = []
    for _, some in users.batches(256):
        lists = top_k(some.mask_seen(np.array(model.score(some.given))), k)
        there = np.diff(some.target.matrix.indptr) * np.diff(some.given.matrix.indptr)
        for row in np.flatnonzero(there).tolist():
            items: LongArray = lists.row(row)[0].astype(np.int64)
            history = some.given.rows(slice(row, row + 1))
            shares.append(stabilities(model, history, items, k))
    return binned(np.concatenate(shares), np.concatenate(_taken(model, users, k)))
