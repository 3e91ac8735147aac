"""Ranking metrics of single lists: one float64 a user, NaN where a user has nothing to find.

`hits` marks what each list found; the metrics read those marks. Throughout, `hit` is bool
(b, ≥ k) in the order of the lists, `relevant` int (b,) the number of items to be found, and
rel_i is 1 where the i-th item of a list is one of them, ranks counting from 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

Values = npt.NDArray[np.float64]
Marks = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.integer]


class Lists(Protocol):
    """The best items of each row, best first; of row i the first `counts[i]` count."""

    @property
    def items(self) -> npt.NDArray[np.int32]:
        """int32 (b, k)."""

    @property
    def counts(self) -> npt.NDArray[np.int32]:
        """int32 (b,)."""


def listed(lists: Lists, k: int) -> Marks:
    """Say which places of the lists, cut to k, hold an item: bool (b, at most k)."""
    width = min(k, lists.items.shape[1])
    marks: Marks = np.arange(width) < lists.counts[:, None]
    return marks


def hits(lists: Lists, target: sp.csr_array[Any, tuple[int, int]]) -> Marks:
    """Say which listed items are in the row of `target`, (b, n_items): bool (b, k)."""
    b, n_items = target.shape
    rows = np.arange(b, dtype=np.int64) * n_items
    wanted = np.repeat(rows, np.diff(target.indptr)) + target.indices
    found = np.isin(rows[:, None] + lists.items, wanted)
    return found & listed(lists, lists.items.shape[1])


def recall(hit: Marks, relevant: Counts, k: int) -> Values:
    """Return Σ_{i ≤ k} rel_i / min(k, relevant) (Liang et al. 2018)."""
    return _share(hit[:, :k].sum(axis=1), np.minimum(k, relevant))


def recall_all(hit: Marks, relevant: Counts, k: int) -> Values:
    """Return Σ_{i ≤ k} rel_i / relevant (He et al. 2020)."""
    return _share(hit[:, :k].sum(axis=1), relevant)


def ndcg(hit: Marks, relevant: Counts, k: int) -> Values:
    """Return Σ_{i ≤ k} rel_i / log2(i + 1), over its best possible value for min(k, relevant)."""
    discounts = 1 / np.log2(np.arange(2, k + 2))
    best = np.concatenate([[0], np.cumsum(discounts)])[np.minimum(k, relevant)]
    cut = hit[:, :k]
    return _share(cut @ discounts[: cut.shape[1]], best)


def average_precision(hit: Marks, relevant: Counts, k: int) -> Values:
    """Return Σ_{i ≤ k} rel_i · precision@i / min(k, relevant): the user's part of map@k."""
    cut = hit[:, :k]
    precision = cut.cumsum(axis=1) / np.arange(1, cut.shape[1] + 1)
    return _share((precision * cut).sum(axis=1), np.minimum(k, relevant))


def reciprocal_rank(hit: Marks, relevant: Counts, k: int) -> Values:
    """Return 1 / rank of the first item found within k, 0 without one: the user's part of mrr@k."""
    cut = hit[:, :k] / np.arange(1, hit[:, :k].shape[1] + 1)
    return _share(cut.max(axis=1, initial=0.0), relevant > 0)


def hit_rate(hit: Marks, relevant: Counts, k: int) -> Values:
    """Return 1 where anything is found within k, else 0: the user's part of hit@k."""
    return _share(hit[:, :k].max(axis=1, initial=False), relevant > 0)


def _share(part: npt.NDArray[Any], whole: npt.NDArray[Any]) -> Values:
    """Return part / whole, NaN where the whole is 0."""
    shares = np.full(len(part), np.nan)
    np.divide(part, whole, out=shares, where=whole > 0)
    return shares


def information(train: sp.csr_array[Any, tuple[int, int]]) -> Values:
    """Return −log2 of the share of training users who have each item: float64 (n_items,).

    An item that none has counts as if one had it, which keeps the mean finite.
    """
    users = np.bincount(train.indices, minlength=train.shape[1])
    return -np.log2(np.maximum(users, 1) / max(train.shape[0], 1))


def novelty(lists: Lists, bits: Values, k: int) -> Values:
    """Return the mean `information` of the first k items of each list, NaN for an empty one."""
    marks = listed(lists, k)
    total = np.where(marks, bits[lists.items[:, :k]], 0).sum(axis=1)
    return _share(total, marks.sum(axis=1))


def item_vectors(
    train: sp.csr_array[Any, tuple[int, int]],
) -> sp.csr_array[Any, tuple[int, int]]:
    """Return each item's training column, binary and of length 1: float32 (n_items, n_users)."""
    users = np.bincount(train.indices, minlength=train.shape[1])
    length = (1 / np.sqrt(users[train.indices])).astype(np.float32)
    scaled = sp.csr_array((length, train.indices, train.indptr), shape=train.shape)
    return scaled.T.tocsr()


def diversity(
    lists: Lists, vectors: sp.csr_array[Any, tuple[int, int]], ks: Sequence[int]
) -> dict[int, Values]:
    """Return, for each k, 1 − the mean cosine of the first k items over their pairs.

    Σ_{i≠j} cos = |Σ v_i|² − Σ |v_i|², so no pair is looked at, and each k goes on from the sum of
    the one before. NaN for lists of less than two items.

    Parameters
    ----------
    lists
        b lists.
    vectors
        The `item_vectors` v.
    ks
        Where to cut, ascending.
    """
    lengths = (np.diff(vectors.indptr) > 0).astype(np.float64)  # 0 without a training user
    sums = sp.csr_array((len(lists.items), vectors.shape[1]), dtype=np.float32)
    squares = np.zeros(len(lists.items))
    values, start = {}, 0
    for k in ks:
        chosen = _chosen(lists, start, k, vectors.shape[0])
        sums, squares, start = sums + chosen @ vectors, squares + chosen @ lengths, k
        n = np.minimum(lists.counts, k).astype(np.int64)
        values[k] = 1 - _share(sums.power(2).sum(axis=1) - squares, n * (n - 1))
    return values


def _chosen(lists: Lists, start: int, end: int, n_items: int) -> sp.csr_array[Any, tuple[int, int]]:
    """Return places `start` to `end` of the lists as (b, n_items), 1 where an item is listed."""
    marks = listed(lists, end)
    marks[:, :start] = False
    indptr = np.concatenate([[0], np.cumsum(marks.sum(axis=1))])
    items = lists.items[:, : marks.shape[1]][marks]
    return sp.csr_array(
        (np.ones(len(items), np.float32), items, indptr), shape=(len(marks), n_items)
    )


def covered(lists: Lists, k: int) -> npt.NDArray[np.int32]:
    """Return the distinct items of the first k of any list; coverage@k is their share."""
    return np.unique(lists.items[:, :k][listed(lists, k)])
