"""Linear models: scores are the history times one item-item matrix, learnt in closed form."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from pydantic import Field
from scipy.linalg import lapack
from scipy.sparse.linalg import svds

from recsys.errors import TrainingError
from recsys.files import Tensors
from recsys.interactions.tables import FloatArray, HeldOut, Histories, Matrix
from recsys.models.base import Model, RunOptions
from recsys.progress import progress

Doubles = npt.NDArray[np.float64]
Penalty = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Dropout = Annotated[float, Field(ge=0, lt=1)]
Exponent = Annotated[float, Field(ge=0, le=1)]

_BLOCK = 512  # rows of the Gram matrix worked on at once
_TOLERANCE = 0.01  # of ‖P(G + Λ)v − v‖ / ‖v‖; float64 gives about 1e-13, healthy float32 1e-5


@dataclass(frozen=True)
class PureSVDConfig:
    """Settings of `PureSVD`.

    Attributes
    ----------
    factors
        Singular vectors kept; more than the matrix has are cut to all of them.
    """

    factors: Annotated[int, Field(ge=1)] = 128


class PureSVD(Model[PureSVDConfig]):
    """PureSVD (Cremonesi et al. 2010): the history projected on the leading right singular vectors.

    X ≈ U Σ Vᵀ,  scores = x V Vᵀ
    """

    name = "pure-svd"
    config_type = PureSVDConfig

    def _fit(
        self,
        train: Histories,
        validation: HeldOut | None,  # noqa: ARG002
        options: RunOptions,
    ) -> None:
        matrix, factors = train.matrix, self.config.factors
        if factors >= min(matrix.shape):
            _, singular, vectors = np.linalg.svd(matrix.toarray(), full_matrices=False)
        else:
            start = np.random.default_rng(options.seed).standard_normal(min(matrix.shape))
            _, singular, vectors = svds(matrix, factors, v0=start.astype(np.float32))
        real = singular > singular.max() * 1e-5  # the rest spans nothing that training has seen
        self._vectors: FloatArray = np.ascontiguousarray(vectors[real].T)  # (n_items, factors)

    def _score(self, histories: Histories) -> FloatArray:
        latent: FloatArray = histories.matrix @ self._vectors  # (b, factors)
        return latent @ self._vectors.T

    def tensors(self) -> Tensors:
        """Return V, float32 (n_items, factors)."""
        self.check_fitted()
        return {"vectors": self._vectors}

    def _restore(self, n_items: int, tensors: Tensors) -> None:  # noqa: ARG002
        self._vectors = tensors["vectors"]


ConfigT = TypeVar("ConfigT")


class _ItemItem(Model[ConfigT]):
    """Scores = x B, with B dense and its diagonal 0."""

    _weights: FloatArray  # B, (n_items, n_items)

    def _score(self, histories: Histories) -> FloatArray:
        scores: FloatArray = histories.matrix @ self._weights
        return scores

    def tensors(self) -> Tensors:
        """Return B, float32 (n_items, n_items)."""
        self.check_fitted()
        return {"weights": self._weights}

    def _restore(self, n_items: int, tensors: Tensors) -> None:  # noqa: ARG002
        self._weights = tensors["weights"]


@dataclass(frozen=True)
class EASEConfig:
    """Settings of `EASE`.

    Attributes
    ----------
    l2
        λ, the penalty on every squared weight.
    """

    l2: Penalty = 200.0


class EASE(_ItemItem[EASEConfig]):
    """EASE (Steck 2019): the least-squares item-item matrix that may not use an item for itself.

    G = XᵀX,  P = (G + λI)⁻¹,  B = I − P · diag(1 / diag P)
    """

    name = "ease"
    config_type = EASEConfig

    def _fit(
        self,
        train: Histories,
        validation: HeldOut | None,  # noqa: ARG002
        options: RunOptions,
    ) -> None:
        penalty = np.full(train.n_items, self.config.l2)
        self._weights = diagonal_free(train.matrix, penalty, seed=options.seed)


@dataclass(frozen=True)
class EDLAEConfig:
    """Settings of `EDLAE`.

    Attributes
    ----------
    l2
        λ, the penalty on every squared weight.
    dropout
        p, the share of a history's items that training leaves out at random, in expectation.
    """

    l2: Penalty = 200.0
    dropout: Dropout = 0.25


class EDLAE(_ItemItem[EDLAEConfig]):
    """EDLAE (Steck 2020): EASE under dropout, which penalises popular items' weights more.

    P = (G + λI + p / (1 − p) · diag G)⁻¹,  B = I − P · diag(1 / diag P)
    """

    name = "edlae"
    config_type = EDLAEConfig

    def _fit(
        self,
        train: Histories,
        validation: HeldOut | None,  # noqa: ARG002
        options: RunOptions,
    ) -> None:
        penalty = _dropout_penalty(train.matrix, self.config.l2, self.config.dropout)
        self._weights = diagonal_free(train.matrix, penalty, seed=options.seed)


@dataclass(frozen=True)
class DanEDLAEConfig:
    """Settings of `DanEDLAE`.

    Attributes
    ----------
    l2, dropout
        As in `EDLAE`.
    alpha
        How far popular items are held back; 0 not at all.
    beta
        How far users with long histories are held back; 0 not at all.
    """

    l2: Penalty = 20.0
    dropout: Dropout = 0.3
    alpha: Exponent = 0.2
    beta: Exponent = 0.2


class DanEDLAE(_ItemItem[DanEDLAEConfig]):
    """EDLAE with data-adaptive normalisation (DAN, Park et al. 2025).

    With n_u and D_i the numbers of entries of user u and item i in training,

        G = Xᵀ diag(n_u^(−β)) X,  B as EDLAE solves it from G,  scores = x D^α B D^(−α)
    """

    name = "dan-edlae"
    config_type = DanEDLAEConfig

    def _fit(
        self,
        train: Histories,
        validation: HeldOut | None,  # noqa: ARG002
        options: RunOptions,
    ) -> None:
        config = self.config
        matrix = _rows_scaled(train.matrix, -config.beta / 2)
        counts = np.bincount(train.matrix.indices, minlength=train.n_items)
        popularity = np.maximum(counts, 1) ** config.alpha  # D^α; B is 0 where nobody has the item
        penalty = _dropout_penalty(matrix, config.l2, config.dropout)
        self._weights = diagonal_free(matrix, penalty, popularity, seed=options.seed)


def _rows_scaled(matrix: Matrix, power: float) -> Matrix:
    """Return the matrix with each row times its number of entries to that power."""
    lengths = np.diff(matrix.indptr)
    factors = np.repeat(np.maximum(lengths, 1.0) ** power, lengths)
    data = matrix.data * factors.astype(np.float32)
    return sp.csr_array((data, matrix.indices, matrix.indptr), shape=matrix.shape)


def _dropout_penalty(matrix: Matrix, l2: float, dropout: float) -> Doubles:
    """Return the diagonal λ + p / (1 − p) · diag G, (n_items,)."""
    diagonal = np.bincount(matrix.indices, matrix.data**2, minlength=matrix.shape[1])
    return np.asarray(l2 + dropout / (1 - dropout) * diagonal, np.float64)


def diagonal_free(
    matrix: Matrix, penalty: Doubles, popularity: Doubles | None = None, *, seed: int
) -> FloatArray:
    """Return the item-item matrix B whose diagonal is 0, found in one n × n float32 array.

    With Λ = diag(penalty), P = (XᵀX + Λ)⁻¹ and S = diag(popularity), I where that is None,

        B = S · (I − P · diag(1 / diag P)) · S⁻¹

    Parameters
    ----------
    matrix
        X, float32 CSR (n_users, n_items).
    penalty
        (n_items,), above 0.
    popularity
        (n_items,), above 0, or None.
    seed
        Seeds the vector with which the inverse is tested.

    Raises
    ------
    TrainingError
        The array does not fit into memory, or float32 was not exact enough.
    """
    _check_memory(matrix.shape[1])
    with progress("item-item matrix", 4) as bar:
        inverse = _gram(matrix)
        inverse[np.diag_indices_from(inverse)] += penalty.astype(np.float32)
        bar.advance(note="Cholesky factors")
        _factorise(inverse)
        bar.advance(note="inverse")
        _invert(inverse)
        bar.advance(note="check")
        _check_inverse(inverse, matrix, penalty, seed)
    columns: Doubles = -1 / np.diagonal(inverse).astype(np.float64)
    if popularity is not None:
        columns /= popularity
        inverse *= popularity.astype(np.float32)[:, None]
    inverse *= columns.astype(np.float32)
    np.fill_diagonal(inverse, 0)
    return inverse


def _check_memory(n_items: int) -> None:
    needed, available = 4 * n_items * n_items, _available_memory()
    if available is not None and needed > available:
        raise TrainingError(
            f"an item-item matrix of {n_items:,} items needs {needed / 1e9:,.1f} GB of memory, "
            f"{available / 1e9:,.1f} GB are free; keep fewer items (raise min_item_users)"
        )


def _available_memory() -> int | None:
    """Return the bytes that can be had without swapping, None where the system does not say."""
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        for line in meminfo.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _gram(matrix: Matrix) -> FloatArray:
    """Return XᵀX, dense; made of blocks of rows, so that no sparse product of that size exists."""
    n_items = matrix.shape[1]
    gram = np.empty((n_items, n_items), np.float32)
    transposed = matrix.T.tocsr()
    for start in range(0, n_items, _BLOCK):
        block = transposed[start : start + _BLOCK] @ matrix
        block.toarray(out=gram[start : start + _BLOCK])
    return gram


def _factorise(matrix: FloatArray) -> None:
    """Put the Cholesky factor of a symmetric C-ordered matrix into its upper triangle, in place."""
    # LAPACK wants Fortran order; the matrix is its own transpose, its upper triangle LAPACK's lower
    _, failed = lapack.spotrf(matrix.T, lower=1, clean=0, overwrite_a=1)
    if failed:
        raise TrainingError("the Gram matrix is not positive definite in float32; raise l2")


def _invert(matrix: FloatArray) -> None:
    """Turn what `_factorise` left into the whole inverse, in place."""
    lapack.spotri(matrix.T, lower=1, overwrite_c=1)  # fails on a zero pivot, never left by spotrf
    for start in range(0, len(matrix), _BLOCK):  # mirror the triangle
        end = min(start + _BLOCK, len(matrix))
        corner = matrix[start:end, start:end]
        corner[:] = np.triu(corner) + np.triu(corner, 1).T
        for across in range(end, len(matrix), _BLOCK):
            block = matrix[start:end, across : across + _BLOCK]
            matrix[across : across + _BLOCK, start:end] = block.T


def _check_inverse(inverse: FloatArray, matrix: Matrix, penalty: Doubles, seed: int) -> None:
    """Refuse an inverse that does not bring a random v back from (XᵀX + Λ)v."""
    v = np.random.default_rng(seed).standard_normal(len(inverse))
    image = matrix.T @ (matrix @ v) + penalty * v
    error = np.linalg.norm(inverse @ image.astype(np.float32) - v) / np.linalg.norm(v)
    if not error <= _TOLERANCE:  # NaN too
        raise TrainingError(
            f"float32 is not exact enough for this Gram matrix (relative error {error:.2g}); "
            "raise l2"
        )
