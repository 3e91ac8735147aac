"""How well each item fits its account: scored with the account and the item held out.

A model has seen its own training rows, and finds the oddest of them normal. So accounts are dealt
into folds, each judged by a model that learnt from the others (cross-fitting), and an item is
scored from the account's other items.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from recsys.errors import DataError
from recsys.evaluation.fitting import fit_chosen
from recsys.interactions.pairs import Pairs
from recsys.interactions.splits import training_split
from recsys.interactions.tables import BoolArray, FloatArray, Histories, Interactions, Matrix
from recsys.interactions.weighting import Weighting
from recsys.models.base import Model, RunOptions
from recsys.progress import Bar, progress

Doubles = npt.NDArray[np.float64]

_BATCH = 256
_REFERENCE = 2000  # accounts that each item's score is compared with: ± 1 % at worst
_PARTS = 5  # parts of a history held out in turn, where a model uses an item for itself
_EACH_COUNTS_ONE = Weighting()


@dataclass(frozen=True)
class Judge:
    """The model that says what is normal, fitted once for each fold of accounts.

    Its settings hold back more than those that recommend best: a few strange accounts must not
    teach it their taste.

    Attributes
    ----------
    model, settings
        A registered model, and what is not to be its default.
    folds
        Into how many parts the accounts are dealt; each is judged by a model of the others.
    """

    model: str = "dan-edlae"
    settings: Mapping[str, Any] = field(
        default_factory=lambda: {"l2": 200.0, "dropout": 0.6, "beta": 0.6}
    )
    folds: int = 5


@dataclass(frozen=True, eq=False)
class Fit:
    """How well each distinct pair of account and item fits, by user, then item.

    What is chance alone is uniform in both shares; an account's own taste is near 1.

    Attributes
    ----------
    pairs
        The accounts and the items.
    among_items
        float64 (n_pairs,): share of the items that the account does not have which suit it less.
    among_users
        float64 (n_pairs,): share of the accounts that do not have the item which it suits less.
    """

    pairs: Pairs
    among_items: Doubles
    among_users: Doubles

    @property
    def mean(self) -> Doubles:
        """float64 (n_pairs,): the mean of the two shares."""
        return (self.among_items + self.among_users) / 2


def fit_of(
    interactions: Interactions,
    judges: Sequence[Judge] = (Judge(),),
    options: RunOptions | None = None,
) -> Fit:
    """Return how well each pair fits, every pair counting alike; several judges' shares averaged.

    With s the scores of the account's other items by a model that has not seen the account, the
    first share ranks s_i among the items, the second s_i / ‖s‖ among the accounts. An account of a
    single item has no others; its shares are ½, which says nothing.

    Parameters
    ----------
    interactions
        The log.
    judges
        Who judges, at least one.
    options
        Seed (folds, and what is random in a fit) and device.

    Raises
    ------
    DataError
        Fewer than two accounts have an item.
    """
    pairs, options = Pairs.of(interactions), options or RunOptions()
    n_active = np.count_nonzero(pairs.per_user)
    if n_active < 2:
        raise DataError(
            f"an account is judged by what others take, and of those with an item there is only "
            f"{n_active}; two at least are needed"
        )
    with progress("judging", sum(judge.folds for judge in judges)) as bar:
        each = [_shares(interactions, judge, options, bar) for judge in judges]
    among_items, among_users = np.mean(each, axis=0)
    return Fit(pairs, among_items, among_users)


def _shares(
    interactions: Interactions, judge: Judge, options: RunOptions, bar: Bar
) -> tuple[Doubles, Doubles]:
    """Return what one judge says: the shares among items, and among accounts."""
    histories = _EACH_COUNTS_ONE.histories(interactions)
    active = np.flatnonzero(np.diff(histories.matrix.indptr))
    rng = np.random.default_rng(options.seed)
    folds = np.array_split(rng.permutation(active), min(judge.folds, len(active)))
    reference = np.sort(rng.choice(active, min(_REFERENCE, len(active)), replace=False))
    ranks = _Ranks.of(histories.matrix, reference)
    for fold in folds:
        others = interactions.rows(np.setdiff1d(active, fold))
        training = training_split(others, options.seed)
        model = fit_chosen(judge.model, judge.settings, _EACH_COUNTS_ONE, training, options)
        for users in np.array_split(np.sort(fold), -(-len(fold) // _BATCH)):
            for scores, held in _held_out(model, histories.rows(users), rng):
                ranks.take(users, scores, held)
        bar.advance()
    return ranks.among_items, ranks.among_users()


def _held_out(
    model: Model[Any], histories: Histories, rng: np.random.Generator
) -> Iterator[tuple[FloatArray, BoolArray]]:
    """Yield scores, and for which entries of the histories they hold: those not given."""
    matrix = histories.matrix
    if model.ignores_itself:
        yield model.score(histories), np.ones(matrix.nnz, np.bool_)
        return
    lengths = np.diff(matrix.indptr)
    place = np.arange(matrix.nnz) - np.repeat(matrix.indptr[:-1], lengths)
    row_of = np.repeat(np.arange(len(lengths)), lengths)
    shuffled = place[np.lexsort((rng.random(matrix.nnz), row_of))]
    for part in range(_PARTS):
        held = shuffled % _PARTS == part
        if held.any():
            yield model.score(Histories(_without(matrix, held))), held


def _without(matrix: Matrix, held: BoolArray) -> Matrix:
    kept = np.concatenate([[0], np.cumsum(~held)])
    return sp.csr_array(
        (matrix.data[~held], matrix.indices[~held], kept[matrix.indptr]), shape=matrix.shape
    )


@dataclass(frozen=True, eq=False)
class _Ranks:
    """Gathers scores row by row, and compares them once all rows are there.

    `values` are the pairs' scores over the length of their row, `reference` the accounts that
    they are compared with, `rows` those accounts' scores, NaN where they have the item.
    """

    matrix: Matrix
    reference: npt.NDArray[np.integer]
    rows: FloatArray
    among_items: Doubles
    values: FloatArray

    @classmethod
    def of(cls, matrix: Matrix, reference: npt.NDArray[np.integer]) -> _Ranks:
        rows = np.full((len(reference), matrix.shape[1]), np.nan, np.float32)
        halves = np.full(matrix.nnz, 0.5)
        return cls(matrix, reference, rows, halves, np.zeros(matrix.nnz, np.float32))

    def take(self, users: npt.NDArray[np.integer], scores: FloatArray, held: BoolArray) -> None:
        """Take in scores, a row for each of `users`, valid for those of their pairs in `held`."""
        scaled = scores / np.maximum(np.linalg.norm(scores, axis=1, keepdims=True), 1e-12)
        place = np.searchsorted(self.reference, users)
        start = 0
        for row, user in enumerate(users):
            pairs = np.arange(self.matrix.indptr[user], self.matrix.indptr[user + 1])
            items, now = self.matrix.indices[pairs], held[start : start + len(pairs)]
            start += len(pairs)
            if len(pairs) > 1:
                self.values[pairs[now]] = scaled[row, items[now]]
                others = np.sort(np.delete(scores[row], items))
                if len(others):
                    self.among_items[pairs[now]] = _share_below(others, scores[row, items[now]])
            if place[row] < len(self.reference) and self.reference[place[row]] == user:
                self.rows[place[row]] = scaled[row]
                self.rows[place[row], items] = np.nan

    def among_users(self) -> Doubles:
        """Return for each pair the share of the reference without the item that it suits less."""
        self.rows.sort(axis=0)  # NaN comes last
        compared = np.count_nonzero(~np.isnan(self.rows), axis=0)
        shares = np.full(self.matrix.nnz, 0.5)
        by_item = np.argsort(self.matrix.indices, kind="stable")
        ends = np.cumsum(np.bincount(self.matrix.indices, minlength=self.matrix.shape[1]))
        for item in np.flatnonzero(compared):
            pairs = by_item[ends[item - 1] if item else 0 : ends[item]]
            others = self.rows[: compared[item], item]
            shares[pairs] = _share_below(others, self.values[pairs])
        alone = np.diff(self.matrix.indptr) < 2
        shares[np.repeat(alone, np.diff(self.matrix.indptr))] = 0.5
        return shares


def _share_below(ascending: FloatArray, values: FloatArray) -> Doubles:
    """Return the share that is lower than each value; of what equals it, half counts."""
    below = np.searchsorted(ascending, values) + np.searchsorted(ascending, values, side="right")
    share: Doubles = below / (2 * len(ascending))
    return share
