"""What each item of a history adds to a score, found by leaving it out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from recsys.interactions.tables import FloatArray, Histories, IntArray

MOST_LEFT_OUT = 500
"""How many items of one history are left out in turn: the weightiest."""

_TRIED = 5
"""Items of a long history that are left out in turn for each suggestion of a list."""

_BATCH = 256  # histories scored together: the processor is busy, and their scores fit in memory


def contributions(
    score: Callable[[Histories], FloatArray], history: Histories, items: npt.NDArray[np.integer]
) -> tuple[IntArray, FloatArray, FloatArray]:
    """Return what each of a history's m items adds to the scores of some items.

    With x the weighted history and x∖h the same without its entry h, whatever else it holds kept as
    it is, h adds f(x) − f(x∖h): exact for nonlinear models, too. For a linear model without a
    constant, these add up to the score.

    Parameters
    ----------
    score
        The model's f: histories to float32 (b, n_items).
    history
        One row with at least one entry, weighted.
    items
        (n,): codes of the items whose scores are to be explained.

    Returns
    -------
    left_out, scores, added
        int32 (m,) codes, ascending; float32 (n,), f(x); float32 (m, n). m is at most
        `MOST_LEFT_OUT`.
    """
    return _left_out(score, history, items, _weightiest(history))


def main_contributions(
    score: Callable[[Histories], FloatArray], history: Histories, items: npt.NDArray[np.integer]
) -> tuple[IntArray, FloatArray]:
    """Return what those of a history's items add that add most to the scores of some items.

    Of a long history, the five items are left out in turn for each of `items` that score it
    highest alone, so that a list's reasons cost some ten scores a suggestion, however long the
    history. Parameters are those of `contributions`.

    Returns
    -------
    left_out, added
        int32 (m,) codes, ascending; float32 (m, n), as exact as those of `contributions`.
    """
    entries = _weightiest(history)
    if len(entries) > _TRIED * len(items):
        alone = np.zeros((len(entries), history.matrix.nnz), np.bool_)
        alone[np.arange(len(entries)), entries] = True
        scores = _scores(score, history, alone, items)  # (m, n)
        best = np.argpartition(-scores, _TRIED, axis=0)[:_TRIED]
        entries = entries[np.unique(best)]
    left_out, _, added = _left_out(score, history, items, entries)
    return left_out, added


def _weightiest(history: Histories) -> npt.NDArray[np.intp]:
    """Return the places of the weightiest entries, (m,), ascending."""
    return np.sort(np.argsort(-history.matrix.data, kind="stable")[:MOST_LEFT_OUT])


def _left_out(
    score: Callable[[Histories], FloatArray],
    history: Histories,
    items: npt.NDArray[np.integer],
    entries: npt.NDArray[np.intp],
) -> tuple[IntArray, FloatArray, FloatArray]:
    """Return codes, scores and additions, as `contributions` does, of some of the entries."""
    rows = len(entries) + 1
    kept = np.ones((rows, history.matrix.nnz), np.bool_)  # (1 + m, nnz), the first row whole
    kept[np.arange(1, rows), entries] = False
    scores = _scores(score, history, kept, items)
    return history.matrix.indices[entries], scores[0], scores[0] - scores[1:]


def _scores(
    score: Callable[[Histories], FloatArray],
    history: Histories,
    kept: npt.NDArray[np.bool_],
    items: npt.NDArray[np.integer],
) -> FloatArray:
    """Return the scores of `items`, (b, n), for each cut of a history, `kept` of shape (b, nnz)."""
    scores = np.empty((len(kept), len(items)), np.float32)
    for start in range(0, len(kept), _BATCH):
        batch = slice(start, start + _BATCH)
        scores[batch] = score(_parts(history, kept[batch]))[:, items]
    return scores


def _parts(history: Histories, kept: npt.NDArray[np.bool_]) -> Histories:
    """Return a history, one row, cut to the entries that are kept, once for each row of `kept`."""
    entries = np.nonzero(kept)[1]
    indptr = np.concatenate([[0], np.cumsum(kept.sum(axis=1))])
    matrix = sp.csr_array(
        (history.matrix.data[entries], history.matrix.indices[entries], indptr),
        shape=(len(kept), history.n_items),
    )
    return Histories(matrix, None if history.times is None else history.times[entries])
