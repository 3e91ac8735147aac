"""A linear autoencoder whose evidence is pooled by its strongest parts instead of summed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import scipy.sparse as sp
from pydantic import Field

from recsys.interactions.tables import FloatArray, HeldOut, Histories
from recsys.models.base import RunOptions
from recsys.models.linear import DanEDLAE, DanEDLAEConfig, Exponent
from recsys.settings import Search


@dataclass(frozen=True)
class PooledEDLAEConfig(DanEDLAEConfig):
    """Settings of `PooledEDLAE`, with those of `DanEDLAEConfig`.

    Attributes
    ----------
    power
        p, how far the strongest evidence counts more: 1 adds it all up, much larger ones leave the
        strongest alone.
    """

    alpha: Exponent = 0.0
    power: Annotated[float, Field(ge=1, le=8), Search(1.5, 6.0)] = 3.0


class PooledEDLAE(DanEDLAE):
    """DAN-EDLAE by the length of the evidence: what one item says is not drowned by the others.

    With B the matrix of `DanEDLAE`,

        score_i = (Σ_j (x_j max(B_ji, 0))^p)^(1/p)

    A history has several tastes in it, and a sum over all of them favours what fits each a little.
    Alone this is below the sum; beside it, in a blend, it adds what the sum misses. What is kept as
    weights is max(B, 0)^p, so that scoring costs what it costs `DanEDLAE`.
    """

    name = "pooled-edlae"
    config_type = PooledEDLAEConfig
    config: PooledEDLAEConfig

    def _fit(self, train: Histories, validation: HeldOut | None, options: RunOptions) -> None:
        super()._fit(train, validation, options)
        np.maximum(self._weights, 0, out=self._weights)
        np.power(self._weights, self.config.power, out=self._weights)

    def _score(self, histories: Histories) -> FloatArray:
        matrix, power = histories.matrix, self.config.power
        raised = sp.csr_array((matrix.data**power, matrix.indices, matrix.indptr), matrix.shape)
        pooled: FloatArray = raised @ self._weights
        return np.power(pooled, 1 / power, out=pooled)
