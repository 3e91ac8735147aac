"""Lists whose places depend on each other: limits per category, and diversity."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from recsys.interactions.tables import BoolArray, FloatArray, IntArray
from recsys.recommender.rules import Rules

Vectors = sp.csr_array[np.float32, tuple[int, int]]


def choose(
    items: IntArray,
    scores: FloatArray,
    *,
    k: int,
    rules: Rules,
    categories: Sequence[tuple[str, ...]],
    variants: Sequence[str | None] = (),
    vectors: Vectors | None = None,
) -> list[int]:
    """Return the places, of candidates that are ranked best first, of those to list, in order.

    One after the other takes the place of the candidate i, not yet chosen and of no category that
    is full nor a variant of one that is chosen, with the highest

        (1 − d) · r_i − d · max_{j chosen} cos(v_i, v_j)

    (maximal marginal relevance: Carbonell & Goldstein 1998), the better ranked of equal ones. d is
    the diversity; r_i the score, scaled so that the candidates' best is 1 and their worst 0; v_i
    says which users took the item in training; the maximum over none is 0. Once no more places
    are left than items that categories need, those alone are chosen from; where they cannot be
    had, nothing is.

    Parameters
    ----------
    items, scores
        (n,): codes and scores of the candidates.
    k
        How many to choose at most.
    rules
        `per_category`, `limits`, `variants` and `diversity`.
    categories
        Those of every item.
    variants
        The value of the attribute `rules.variants` of every item; none without such a rule.
    vectors
        `metrics.item_vectors` of every item; None where the diversity is 0.
    """
    relevance = _scaled(scores)
    near = np.zeros(len(items), np.float32)  # the largest cosine with one that is chosen
    free = np.ones(len(items), np.bool_)
    own = None if vectors is None else vectors[items]
    shelves = _Shelves(items, categories, variants, rules)
    free[shelves.closed] = False
    chosen: list[int] = []
    while len(chosen) < k:
        open_ = free & shelves.needed if shelves.missing >= k - len(chosen) else free
        if not open_.any():
            break
        worth = (1 - rules.diversity) * relevance - rules.diversity * near
        place = int(np.argmax(np.where(open_, worth, -np.inf)))
        chosen.append(place)
        free[place] = False
        free[shelves.filled_by(place)] = False
        if own is not None:
            near = np.maximum(near, own @ own[[place]].toarray()[0])
    return [] if shelves.missing else chosen


class _Shelves:
    """Counts what is chosen of each category and of each group of variants."""

    def __init__(
        self,
        items: IntArray,
        categories: Sequence[tuple[str, ...]],
        variants: Sequence[str | None],
        rules: Rules,
    ) -> None:
        codes = items.tolist()
        counted = rules.per_category is not None or bool(rules.limits)
        self._of = [set(categories[item]) if counted else set() for item in codes]
        self._variants = [variants[item] if variants else None for item in codes]
        self._places: dict[str, list[int]] = {}
        for place, own in enumerate(self._of):
            for category in own:
                self._places.setdefault(category, []).append(place)
        self._same: dict[str, list[int]] = {}
        for place, value in enumerate(self._variants):
            if value is not None:
                self._same.setdefault(value, []).append(place)
        self._most = (
            {} if rules.per_category is None else dict.fromkeys(self._places, rules.per_category)
        )
        for limit in rules.limits:
            if limit.most is not None:
                self._most[limit.category] = min(
                    limit.most, self._most.get(limit.category, limit.most)
                )
        self._needs = {limit.category: limit.least for limit in rules.limits if limit.least}
        self._counts = dict.fromkeys(self._places, 0)

    @property
    def closed(self) -> list[int]:
        """The places of categories of which nothing may be chosen."""
        shut = (self._places.get(name, []) for name, most in self._most.items() if most == 0)
        return [place for places in shut for place in places]

    @property
    def missing(self) -> int:
        """How many items the categories still need."""
        return sum(self._needs.values())

    @property
    def needed(self) -> BoolArray:
        """Candidates, bool (n,), of categories that still need some."""
        marks = np.zeros(len(self._of), np.bool_)
        for category, need in self._needs.items():
            if need:
                marks[self._places.get(category, [])] = True
        return marks

    def filled_by(self, place: int) -> list[int]:
        """Count what is at `place` and return the places that no longer may be chosen."""
        value = self._variants[place]
        full = [] if value is None else list(self._same[value])
        for category in self._of[place]:
            self._counts[category] += 1
            if self._needs.get(category):
                self._needs[category] -= 1
            if self._counts[category] == self._most.get(category):
                full += self._places[category]
        return full


def _scaled(scores: FloatArray) -> npt.NDArray[np.float64]:
    """Return scores from 0, the lowest, to 1, the highest; all 1 where they are one."""
    values = scores.astype(np.float64)
    spread = np.ptp(values) if len(values) else 0.0
    return (values - values.min()) / spread if spread > 0 else np.ones(len(values))
