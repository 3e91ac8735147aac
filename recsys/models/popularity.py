"""Models without latent structure: what most users took, and what a user took before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from recsys.files import Tensors
from recsys.interactions.tables import FloatArray, HeldOut, Histories
from recsys.models.ageing import HalfLife, recency, times_of
from recsys.models.base import Model, RunOptions

ConfigT = TypeVar("ConfigT")


class _Counted(Model[ConfigT]):
    """All that is learnt is the popularity of each item."""

    _popularity: FloatArray  # (n_items,)

    def tensors(self) -> Tensors:
        """Return the popularity of each item, float32 (n_items,)."""
        self.check_fitted()
        return {"popularity": self._popularity}

    def _restore(self, n_items: int, tensors: Tensors) -> None:  # noqa: ARG002
        self._popularity: FloatArray = tensors["popularity"]


@dataclass(frozen=True)
class PopularityConfig:
    """Settings of `Popularity`.

    Attributes
    ----------
    half_life_days
        Age, counted back from the newest training entry, at which an entry counts half; None
        counts all alike.
    """

    half_life_days: HalfLife = None


class Popularity(_Counted[PopularityConfig]):
    """Every history gets the same scores: the weighted number of users who have the item.

    score_i = Σ_u x_ui · 0.5^(age_ui / half_life_days)
    """

    name = "popularity"
    config_type = PopularityConfig

    def _fit(
        self,
        train: Histories,
        validation: HeldOut | None,  # noqa: ARG002
        options: RunOptions,  # noqa: ARG002
    ) -> None:
        weights = train.matrix.data
        if self.config.half_life_days is not None:
            times = times_of(train, self.name, "half_life_days")
            weights = weights * recency(times, times.max(), self.config.half_life_days)
        self._popularity = _column_sums(train, weights)

    def _score(self, histories: Histories) -> FloatArray:
        return np.tile(self._popularity, (len(histories), 1))


@dataclass(frozen=True)
class BuyAgainConfig:
    """Settings of `BuyAgain`.

    Attributes
    ----------
    half_life_days
        Age, counted back from the newest entry of the same history, at which an entry counts
        half; None looks at the weights alone.
    """

    half_life_days: HalfLife = None


class BuyAgain(_Counted[BuyAgainConfig]):
    """What the history holds, best first; below all of that, everything else by popularity.

    With p_i the weighted number of users who have item i,

        score_i = x_i · 0.5^(age_i / half_life_days)   where the history holds i,  above 0
        score_i = −1 / (1 + p_i)                       elsewhere,                   below 0
    """

    name = "buy-again"
    config_type = BuyAgainConfig

    def _fit(
        self,
        train: Histories,
        validation: HeldOut | None,  # noqa: ARG002
        options: RunOptions,  # noqa: ARG002
    ) -> None:
        self._popularity = _column_sums(train, train.matrix.data)

    def _score(self, histories: Histories) -> FloatArray:
        scores: FloatArray = np.tile(-1 / (1 + self._popularity), (len(histories), 1))
        rows = np.repeat(np.arange(len(histories)), np.diff(histories.matrix.indptr))
        scores[rows, histories.matrix.indices] = self._held(histories, rows)
        return scores

    def _held(self, histories: Histories, rows: npt.NDArray[np.integer]) -> FloatArray:
        """Return the score, (nnz,), of each entry; however old, it stays above 0."""
        weights = histories.matrix.data
        if self.config.half_life_days is None:
            return weights
        times = times_of(histories, self.name, "half_life_days")
        newest = np.full(len(histories), np.iinfo(np.int64).min)
        np.maximum.at(newest, rows, times)
        aged = weights * recency(times, newest[rows], self.config.half_life_days)
        held: FloatArray = np.maximum(aged, np.finfo(np.float32).tiny)
        return held


def _column_sums(histories: Histories, weights: FloatArray) -> FloatArray:
    """Return float32 (n_items,): the sum of the entries' weights by item, added in float64."""
    sums = np.bincount(histories.matrix.indices, weights, minlength=histories.n_items)
    return np.asarray(sums, np.float32)
