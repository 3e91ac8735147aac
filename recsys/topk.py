"""Exact top-k of score rows: masks are −inf, ties go to the lower item index."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class TopK:
    """The best items of each row, best first.

    Attributes
    ----------
    items
        int32 (b, k): item indices. In row i only the first `counts[i]` mean anything.
    scores
        float32 (b, k): their scores, −inf past `counts[i]`.
    counts
        int32 (b,): how many items of the row were eligible, at most k.
    """

    items: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float32]
    counts: npt.NDArray[np.int32]

    def row(self, index: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """Return the eligible items of one row and their scores, best first."""
        count = self.counts[index]
        return self.items[index, :count], self.scores[index, :count]


def top_k(scores: npt.NDArray[np.float32], k: int) -> TopK:
    """Return the k highest-scoring items of each row.

    An item at −inf (or NaN) is not eligible and never returned; a row with fewer than k eligible
    items gives fewer.

    Parameters
    ----------
    scores
        float32 (b, n_items), left as they are.
    k
        How many, at least 1; more than n_items is cut to n_items.
    """
    b, n_items = scores.shape
    k = min(k, n_items)
    if b == 0 or k == 0:
        return TopK(np.zeros((b, k), np.int32), np.zeros((b, k), np.float32), np.zeros(b, np.int32))
    if np.isnan(scores).any():
        scores = np.where(np.isnan(scores), -np.inf, scores).astype(np.float32)
    # the k-th highest score of each row bounds its list
    bound = np.partition(scores, n_items - k, axis=1)[:, n_items - k]  # (b,)
    items = np.empty((b, k), np.int32)
    for row in range(b):
        candidates = np.flatnonzero(scores[row] >= bound[row])
        if len(candidates) > k:  # ties at the bound: the lowest indices among them
            above = candidates[scores[row, candidates] > bound[row]]
            tied = candidates[scores[row, candidates] == bound[row]]
            candidates = np.concatenate([above, tied[: k - len(above)]])
            candidates.sort()
        items[row] = candidates
    values = np.take_along_axis(scores, items, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")  # candidates ascend, so ties go by index
    values = np.take_along_axis(values, order, axis=1)
    items = np.take_along_axis(items, order, axis=1)
    return TopK(items, values, (values > -np.inf).sum(axis=1, dtype=np.int32))
