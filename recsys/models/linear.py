"""Linear models: scores are the history times one item-item matrix, learnt in closed form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, TypeVar

import numpy as np
import scipy.sparse as sp
from pydantic import Field
from scipy.sparse.linalg import svds

from recsys.files import Tensors
from recsys.interactions.tables import FloatArray, HeldOut, Histories, Matrix
from recsys.models.ageing import HalfLife, recency, times_of
from recsys.models.base import Embedding, Model, RunOptions
from recsys.models.item_item import Doubles, diagonal_free
from recsys.settings import Search

Penalty = Annotated[float, Field(gt=0, allow_inf_nan=False), Search(5.0, 10_000.0, log=True)]
Dropout = Annotated[float, Field(ge=0, lt=1), Search(0.0, 0.95)]
Exponent = Annotated[float, Field(ge=0, le=1), Search(0.0, 0.6)]


@dataclass(frozen=True)
class PureSVDConfig:
    """Settings of `PureSVD`.

    Attributes
    ----------
    factors
        Singular vectors kept; more than the matrix has are cut to all of them.
    alpha
        How far popular items are held back before the vectors are found; they are let go after.
    beta
        How far users with long histories are held back.
    """

    factors: Annotated[int, Field(ge=1), Search(16, 512, log=True)] = 128
    alpha: Annotated[float, Field(ge=0, le=1), Search(0.0, 0.6)] = 0.0
    beta: Annotated[float, Field(ge=0, le=1), Search(0.0, 1.0)] = 0.0


class PureSVD(Model[PureSVDConfig]):
    """PureSVD (Cremonesi et al. 2010): the history projected on the leading right singular vectors.

    With n_u and D_i the numbers of entries of user u and item i in training,

        diag(n_u^(−β/2)) X D^(−α) ≈ U Σ Vᵀ,  scores = x D^(−α) V Vᵀ D^α

    which for α = ½ and β = 1 is the ideal low-pass filter of GF-CF (Shen et al. 2021).
    """

    name = "pure-svd"
    config_type = PureSVDConfig
    has_latents = True

    _encoder: FloatArray
    _decoder: FloatArray

    def _fit(
        self,
        train: Histories,
        validation: HeldOut | None,  # noqa: ARG002
        options: RunOptions,
    ) -> None:
        config, factors = self.config, self.config.factors
        popularity = _popularity(train, config.alpha)  # D^α
        matrix = _rows_scaled(train.matrix, -config.beta / 2)
        matrix.data /= popularity[matrix.indices]
        if factors >= min(matrix.shape):
            _, singular, vectors = np.linalg.svd(matrix.toarray(), full_matrices=False)
        else:
            start = np.random.default_rng(options.seed).standard_normal(min(matrix.shape))
            _, singular, vectors = svds(matrix, factors, v0=start.astype(np.float32))
        real = singular > singular.max() * 1e-5  # the rest spans nothing that training has seen
        vectors = vectors[real].T  # (n_items, factors)
        self._encoder = np.ascontiguousarray(vectors / popularity[:, None], np.float32)
        self._decoder = np.ascontiguousarray(vectors * popularity[:, None], np.float32)

    def _score(self, histories: Histories) -> FloatArray:
        return self._embed(histories).mean @ self._decoder.T

    def _embed(self, histories: Histories) -> Embedding:
        return Embedding(histories.matrix @ self._encoder)  # (b, factors)

    def _item_vectors(self) -> FloatArray:
        return self._decoder

    def tensors(self) -> Tensors:
        """Return D^(−α) V and D^α V, float32 (n_items, factors) each."""
        self.check_fitted()
        return {"encoder": self._encoder, "decoder": self._decoder}

    def _restore(self, n_items: int, tensors: Tensors) -> None:  # noqa: ARG002
        self._encoder, self._decoder = tensors["encoder"], tensors["decoder"]


@dataclass(frozen=True)
class ItemItemConfig:
    """What `EASE`, `EDLAE` and `DanEDLAE` have in common.

    Attributes
    ----------
    l2
        λ, the penalty on every squared weight.
    target_half_life_days
        Learn to predict what was taken lately: with X the training rows and a_ui the age of an
        entry, counted back from the newest, the whole X predicts y_ui = x_ui · 0.5^(a_ui / this).
        It comes on top of what X itself has aged by; None predicts X. Needs times, and memory for
        a second n × n array.
    """

    l2: Penalty = 200.0
    target_half_life_days: HalfLife = None


ConfigT = TypeVar("ConfigT", bound=ItemItemConfig)


class _ItemItem(Model[ConfigT]):
    """Scores = x B, with B dense and its diagonal 0."""

    ignores_itself = True

    _weights: FloatArray  # B, (n_items, n_items)

    def _recent(self, train: Histories, matrix: Matrix) -> Matrix | None:
        """Return Y for X, whose entries are those of `train`; None where it is X itself."""
        half_life = self.config.target_half_life_days
        if half_life is None:
            return None
        times = times_of(train, self.name, "target_half_life_days")
        data = matrix.data * recency(times, times.max(), half_life)
        return sp.csr_array((data, matrix.indices, matrix.indptr), shape=matrix.shape)

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
class EASEConfig(ItemItemConfig):
    """Settings of `EASE`: those of `ItemItemConfig`."""


class EASE(_ItemItem[EASEConfig]):
    """EASE (Steck 2019): the least-squares item-item matrix that may not use an item for itself.

    G = XᵀX,  P = (G + λI)⁻¹,  B = I − P · diag(1 / diag P)

    With `target_half_life_days`, and so a target Y other than X,

        C = P XᵀY,  B = C − P · diag(diag C / diag P)
    """

    name = "ease"
    config_type = EASEConfig

    def _fit(
        self,
        train: Histories,
        validation: HeldOut | None,  # noqa: ARG002
        options: RunOptions,
    ) -> None:
        matrix = train.matrix
        target = self._recent(train, matrix)
        penalty = np.full(train.n_items, self.config.l2)
        self._weights = diagonal_free(
            matrix, penalty, target=target, seed=options.seed, grams=options.grams
        )


@dataclass(frozen=True)
class EDLAEConfig(ItemItemConfig):
    """Settings of `EDLAE`, with those of `ItemItemConfig`.

    Attributes
    ----------
    dropout
        p, the share of a history's items that training leaves out at random, in expectation.
    """

    dropout: Dropout = 0.25


class EDLAE(_ItemItem[EDLAEConfig]):
    """EDLAE (Steck 2020): EASE under dropout, which penalises popular items' weights more.

    P = (G + λI + p / (1 − p) · diag G)⁻¹,  B from P as in `EASE`
    """

    name = "edlae"
    config_type = EDLAEConfig

    def _fit(
        self,
        train: Histories,
        validation: HeldOut | None,  # noqa: ARG002
        options: RunOptions,
    ) -> None:
        matrix = train.matrix
        target = self._recent(train, matrix)
        penalty = _dropout_penalty(matrix, self.config.l2, self.config.dropout)
        self._weights = diagonal_free(
            matrix, penalty, target=target, seed=options.seed, grams=options.grams
        )


@dataclass(frozen=True)
class DanEDLAEConfig(EDLAEConfig):
    """Settings of `DanEDLAE`, with those of `EDLAEConfig`.

    Attributes
    ----------
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

    A target Y has its rows weighted like X's.
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
        popularity = _popularity(train, config.alpha)  # B is 0 where nobody has the item
        penalty = _dropout_penalty(matrix, config.l2, config.dropout)
        target = self._recent(train, matrix)
        self._weights = diagonal_free(
            matrix,
            penalty,
            popularity,
            target=target,
            seed=options.seed,
            grams=options.grams,
        )


def _popularity(train: Histories, power: float) -> Doubles:
    """Return D^power, (n_items,), 1 for an item that nobody has."""
    counts = np.bincount(train.matrix.indices, minlength=train.n_items)
    return np.asarray(np.maximum(counts, 1) ** power, np.float64)


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
