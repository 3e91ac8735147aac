"""What a variational model is compared with: PCA as a model to draw from, and popularity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy.sparse as sp

from recsys.interactions.tables import FloatArray, Histories, Matrix

FACTORS = 200
"""Of PCA: as many as Mult-VAE has latents."""

_LEAST_SCORE = 1e-3  # of PCA, which a logarithm is taken of


def independent(real: Matrix, rng: np.random.Generator) -> Matrix:
    """Return histories as long as the real ones, items drawn by popularity alone."""
    counts = np.bincount(real.indices, minlength=real.shape[1])
    logits = np.log(np.maximum(counts, 1e-9)).astype(np.float32)
    lengths = np.diff(real.indptr)
    rows = []
    for length in lengths.tolist():
        keys = logits + rng.gumbel(size=len(logits))
        rows.append(np.sort(np.argpartition(-keys, max(length - 1, 0))[:length]))
    indices = np.concatenate(rows).astype(np.int32)
    ones = np.ones(len(indices), np.float32)
    return sp.csr_array((ones, indices, real.indptr.copy()), shape=real.shape)


@dataclass(frozen=True, eq=False)
class Principal:
    """PCA as a model to draw from, without centring: u = x V, x̂ = u Vᵀ, Vᵀ V = I.

    Latents are as sure as the residual of the training rows is small, in every direction alike
    (probabilistic PCA); logits are the logarithms of x̂, of what is below .001 that of .001.

    Attributes
    ----------
    vectors
        V: float32 (n_items, factors).
    noise
        Residual variance of an entry.
    """

    vectors: FloatArray
    noise: float
    name: ClassVar[str] = "pca"

    @classmethod
    def of(cls, matrix: Matrix) -> Principal:
        """Return the principal directions of training rows."""
        factors = min(FACTORS, min(matrix.shape) - 1)
        start = np.ones(min(matrix.shape))
        _, values, vectors = sp.linalg.svds(matrix.astype(np.float64), k=factors, v0=start)
        residual = float((matrix.data**2).sum() - (values**2).sum())
        return cls(vectors.T.astype(np.float32), max(residual, 0.0) / np.prod(matrix.shape))

    def posterior(self, histories: Histories) -> tuple[FloatArray, FloatArray]:
        """Return means and variances of the latents of histories: float32 (b, factors) each."""
        mean: FloatArray = np.asarray(histories.matrix @ self.vectors, dtype=np.float32)
        return mean, np.full_like(mean, self.noise)

    def decode(self, latents: FloatArray) -> FloatArray:
        """Return the logits of latents: float32 (b, n_items)."""
        rebuilt: FloatArray = latents @ self.vectors.T
        return np.log(np.maximum(rebuilt, np.float32(_LEAST_SCORE)))
