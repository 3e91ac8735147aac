"""Lists whose places depend on each other: limits per category, and diversity."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from recsys.interactions.tables import FloatArray, IntArray
from recsys.recommender.rules import Rules

Vectors = sp.csr_array[np.float32, tuple[int, int]]


def choose(
    items: IntArray,
    scores: FloatArray,
    *,
    k: int,
    rules: Rules,
    categories: Sequence[tuple[str, ...]],
    vectors: Vectors | None,
) -> list[int]:
    """Return the places, of candidates that are ranked best first, of those to list, in order.

    One after the other takes the place of the candidate i, not yet chosen and of no category that
    is full, with the highest

        (1 − d) · r_i − d · max_{j chosen} cos(v_i, v_j)

    (maximal marginal relevance: Carbonell & Goldstein 1998), the better ranked of equal ones. d is
    the diversity; r_i the score, scaled so that the candidates' best is 1 and their worst 0; v_i
    says which users took the item in training; the maximum over none is 0.

    Parameters
    ----------
    items, scores
        (n,): codes and scores of the candidates.
    k
        How many to choose at most.
    rules
        `per_category` and `diversity`.
    categories
        Those of every item.
    vectors
        `metrics.item_vectors` of every item; None where the diversity is 0.
    """
    relevance = _scaled(scores)
    near = np.zeros(len(items), np.float32)  # the largest cosine with one that is chosen
    free = np.ones(len(items), np.bool_)
    own = None if vectors is None else vectors[items]
    shelves = _Shelves(items, categories, rules.per_category)
    chosen: list[int] = []
    while len(chosen) < k and free.any():
        worth = (1 - rules.diversity) * relevance - rules.diversity * near
        place = int(np.argmax(np.where(free, worth, -np.inf)))
        chosen.append(place)
        free[place] = False
        free[shelves.filled_by(place)] = False
        if own is not None:
            near = np.maximum(near, own @ own[[place]].toarray()[0])
    return chosen


class _Shelves:
    """Counts what is chosen of each category."""

    def __init__(
        self, items: IntArray, categories: Sequence[tuple[str, ...]], most: int | None
    ) -> None:
        self._most = most
        self._of = [set(categories[item]) if most is not None else set() for item in items.tolist()]
        self._places: dict[str, list[int]] = {}
        for place, own in enumerate(self._of):
            for category in own:
                self._places.setdefault(category, []).append(place)
        self._counts = dict.fromkeys(self._places, 0)

    def filled_by(self, place: int) -> list[int]:
        """Count what is at `place` and return the places that no longer may be chosen."""
        full: list[int] = []
        for category in self._of[place]:
            self._counts[category] += 1
            if self._counts[category] == self._most:
                full += self._places[category]
        return full


def _scaled(scores: FloatArray) -> npt.NDArray[np.float64]:
    """Return scores from 0, the lowest, to 1, the highest; all 1 where they are one."""
    values = scores.astype(np.float64)
    spread = np.ptp(values) if len(values) else 0.0
    return (values - values.min()) / spread if spread > 0 else np.ones(len(values))
