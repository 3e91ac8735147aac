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
    best = TopK(
        np.zeros((b, k), np.int32), np.full((b, k), -np.inf, np.float32), np.zeros(b, np.int32)
    )
    if k == 0:
        return best
    for start in range(0, b, _ROWS):
        rows = slice(start, start + _ROWS)
        best.items[rows], best.scores[rows] = _top_k(scores[rows], k)
    np.sum(best.scores > -np.inf, axis=1, out=best.counts)
    return best


_ROWS = 64
"""Rows treated at once: what is made on the way stays small, near the processor."""


def _top_k(
    scores: npt.NDArray[np.float32], k: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """Return items and scores (b, k), zeros and −inf where a row has too few."""
    b = len(scores)
    bound = reached_by(scores, k)
    if np.isnan(bound).any():
        scores = np.where(np.isnan(scores), np.float32(-np.inf), scores)
        bound = reached_by(scores, k)
    bound = np.maximum(bound, np.finfo(np.float32).min)  # not −inf, which nothing eligible is
    candidate = scores >= bound[:, None]  # a few more than k a row, unless many tie
    for row in np.flatnonzero(np.count_nonzero(candidate, axis=1) > 2 * k):
        candidate[row] = _best(scores[row], k, bound[row])
    rows, items = np.divmod(np.flatnonzero(candidate), scores.shape[1])
    values = scores[rows, items]
    counts = np.bincount(rows, minlength=b)
    place = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    width = max(k, int(counts.max()))
    listed = np.zeros((b, width), np.int32)
    reached = np.full((b, width), -np.inf, np.float32)
    listed[rows, place], reached[rows, place] = items, values
    # candidates ascend by item, so a stable sort leaves ties in the order of the index
    order = np.argsort(-reached, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(listed, order, axis=1), np.take_along_axis(reached, order, axis=1)


def reached_by(scores: npt.NDArray[np.float32], k: int) -> npt.NDArray[np.float32]:
    """Return of each row, float32 (b,), what at least k of its scores reach, if hardly more do.

    −inf where fewer than k are above it; NaN where a score of the row is.

    Parameters
    ----------
    scores
        float32 (b, n_items).
    k
        1 to n_items.
    """
    blocks = _block_maxima(scores, max(1024, 8 * k))
    n_blocks = blocks.shape[1]
    # k blocks reach this, so at least k items do
    bound: npt.NDArray[np.float32] = np.partition(blocks, n_blocks - k, axis=1)[:, n_blocks - k]
    # a maximum is NaN when anything in its block is, and NaN sorts last
    return np.where(np.isnan(blocks).any(axis=1), np.float32(np.nan), bound)


def _block_maxima(scores: npt.NDArray[np.float32], n_blocks: int) -> npt.NDArray[np.float32]:
    """Deal each row's items into `n_blocks` blocks and return the blocks' maxima, (b, n_blocks).

    Items left over from dealing evenly are in no block. A row that is hardly longer than
    `n_blocks` is returned as it is: every item its own block.
    """
    b, n_items = scores.shape
    if n_items < 2 * n_blocks:
        return scores
    whole = n_items - n_items % n_blocks
    maxima: npt.NDArray[np.float32] = scores[:, :whole].reshape(b, -1, n_blocks).max(axis=1)
    return maxima


def _best(values: npt.NDArray[np.float32], k: int, bound: np.float32) -> npt.NDArray[np.bool_]:
    """Say which k values are the highest, of equal ones the first; at least k reach `bound`."""
    above = values > bound
    if np.count_nonzero(above) >= k:
        reaching = values[above]
        bound = np.partition(reaching, len(reaching) - k)[len(reaching) - k]
        above = values > bound
    above[np.flatnonzero(values == bound)[: k - np.count_nonzero(above)]] = True
    return above
