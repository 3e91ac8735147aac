"""Distances between vectors: cosines, and who is nearest to whom."""

from __future__ import annotations

import numpy as np

from recsys.interactions.tables import FloatArray
from recsys.topk import TopK, top_k

_ROWS = 512  # vectors compared with all others at once


def nearest(vectors: FloatArray, k: int) -> TopK:
    """Return the k nearest others of each vector by cosine, exact; a vector of 0 is near to none.

    Parameters
    ----------
    vectors
        (n, width).
    k
        How many, at least 1; fewer where there are not as many.
    """
    unit = unit_length(vectors)
    nowhere = np.count_nonzero(unit, axis=1) == 0
    parts = []
    for start in range(0, len(unit), _ROWS):
        cosines = unit[start : start + _ROWS] @ unit.T
        cosines[:, nowhere] = cosines[nowhere[start : start + _ROWS]] = -np.inf
        rows = np.arange(len(cosines))
        cosines[rows, start + rows] = -np.inf
        parts.append(top_k(cosines, k))
    return TopK(
        np.concatenate([part.items for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.counts for part in parts]),
    )


def unit_length(vectors: FloatArray) -> FloatArray:
    """Return the vectors scaled to length 1, (n, width); those of 0 stay."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1), np.float32)
