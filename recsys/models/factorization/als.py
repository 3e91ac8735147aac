"""Weighted least squares, alternating between users and items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from recsys.files import Tensors
from recsys.interactions.tables import FloatArray, HeldOut, Histories
from recsys.models import fold_in
from recsys.models.base import Embedding, Model, RunOptions
from recsys.models.factorization.fitting import Count, Factors, Positive, trained
from recsys.settings import Search


@dataclass(frozen=True)
class ALSConfig:
    """Settings of `ALS`.

    Attributes
    ----------
    factors
        Latent dimensions.
    regularization
        λ, the penalty on every squared factor.
    alpha
        Confidence of an entry of weight 1; an item that a user does not have counts 1.
    iterations
        Times that users and then items are solved.
    """

    factors: Factors = 256
    regularization: Annotated[Positive, Search(1.0, 50.0, log=True)] = 10.0
    alpha: Annotated[Positive, Search(1.0, 50.0, log=True)] = 20.0
    iterations: Count = 15


class ALS(Model[ALSConfig]):
    """Implicit ALS (Hu, Koren & Volinsky 2008): weighted least squares on ones and zeros.

    With c_ui = α x_ui for an entry and 1 elsewhere, p_ui = 1 for an entry and 0 elsewhere,

        loss = Σ_ui c_ui (p_ui − w_u·y_i)² + λ (Σ_u ‖w_u‖² + Σ_i ‖y_i‖²)

    A history's factor is the exact minimum, w = (YᵀY + Yᵀ(C − I)Y + λI)⁻¹ YᵀCp.
    """

    name = "als"
    config_type = ALSConfig
    has_latents = True

    def _fit(
        self,
        train: Histories,
        validation: HeldOut | None,  # noqa: ARG002
        options: RunOptions,
    ) -> None:
        from implicit.cpu.als import AlternatingLeastSquares

        self._set_items(trained(AlternatingLeastSquares, self.config, train, options))

    def _set_items(self, factors: FloatArray) -> None:
        self._items = factors  # Y, (n_items, factors)
        ridge = self.config.regularization * np.eye(factors.shape[1])
        self._gram = (factors.T @ factors).astype(np.float64) + ridge

    def _score(self, histories: Histories) -> FloatArray:
        return self._embed(histories).mean @ self._items.T

    def _embed(self, histories: Histories) -> Embedding:
        matrix, alpha = histories.matrix, self.config.alpha
        return Embedding(fold_in.least_squares(matrix, self._items, self._gram, alpha))

    def _item_vectors(self) -> FloatArray:
        return self._items

    def tensors(self) -> Tensors:
        """Return Y, float32 (n_items, factors)."""
        self.check_fitted()
        return {"items": self._items}

    def _restore(self, n_items: int, tensors: Tensors) -> None:  # noqa: ARG002
        self._set_items(tensors["items"])
