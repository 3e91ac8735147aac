"""BPR and LMF, whose users are folded in by steps down the loss."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import partial
from typing import Annotated, TypeVar

import numpy as np

from recsys.files import Tensors
from recsys.interactions.tables import FloatArray, HeldOut, Histories, IntArray, Matrix
from recsys.models import fold_in
from recsys.models.base import Embedding, Model, RunOptions
from recsys.models.factorization.fitting import Count, Factors, Positive, trained
from recsys.settings import Search

_NEGATIVES = 256  # items drawn once a fit, against which BPR and LMF fold in
_ROWS = 32  # folded in at once, so that rows × items × negatives stays small


@dataclass(frozen=True)
class FoldInConfig:
    """What `BPR` and `LMF` have in common.

    Attributes
    ----------
    fold_in_steps
        Gradient steps from nothing to a history's factor; fewer keep it closer to nothing.
    """

    fold_in_steps: Count = 10


FoldInConfigT = TypeVar("FoldInConfigT", bound=FoldInConfig)


class _FoldedIn(Model[FoldInConfigT]):
    """Scores = w·y_i + b_i, with w found by steps down the model's own loss.

    Items that a history does not hold enter by a sample drawn once a fit, the same for all: no
    row's result depends on its batch.
    """

    has_latents = True

    _items: FloatArray  # Y, (n_items, factors)
    _biases: FloatArray  # b, (n_items,)
    _negatives: IntArray  # items drawn by popularity, as implicit draws them

    def _set_items(
        self, train: Histories, items: FloatArray, biases: FloatArray, options: RunOptions
    ) -> None:
        self._items, self._biases = np.ascontiguousarray(items), np.ascontiguousarray(biases)
        generator = np.random.default_rng(options.seed)
        self._negatives = generator.choice(train.matrix.indices, _NEGATIVES).astype(np.int32)

    def _score(self, histories: Histories) -> FloatArray:
        return self._embed(histories).mean @ self._items.T + self._biases

    def _embed(self, histories: Histories) -> Embedding:
        users = np.empty((len(histories), self._items.shape[1]), np.float32)
        with fold_in.blas().limit(limits=1):
            for start, batch in histories.batches(_ROWS):
                gradient, curvature = self._loss(batch.matrix)
                steps = self.config.fold_in_steps
                found = fold_in.descend(gradient, curvature, users.shape[1], steps)
                users[start : start + len(batch)] = found
        return Embedding(users)

    def _item_vectors(self) -> FloatArray:
        return self._items

    @abstractmethod
    def _loss(self, matrix: Matrix) -> tuple[fold_in.Gradient, fold_in.Doubles]: ...

    def tensors(self) -> Tensors:
        """Return Y (n_items, factors), b (n_items,) and the drawn items."""
        self.check_fitted()
        return {"items": self._items, "biases": self._biases, "negatives": self._negatives}

    def _restore(self, n_items: int, tensors: Tensors) -> None:  # noqa: ARG002
        self._items, self._biases = tensors["items"], tensors["biases"]
        self._negatives = tensors["negatives"]


@dataclass(frozen=True)
class BPRConfig(FoldInConfig):
    """Settings of `BPR`, with those of `FoldInConfig`.

    Attributes
    ----------
    factors
        Latent dimensions.
    learning_rate, iterations
        Step of the stochastic descent, and its passes over the entries.
    regularization
        λ, the penalty on every squared factor, a sampled pair.
    """

    factors: Factors = 128
    learning_rate: Annotated[Positive, Search(0.005, 0.1, log=True)] = 0.02
    regularization: Annotated[Positive, Search(0.001, 0.1, log=True)] = 0.01
    iterations: Annotated[Count, Search(50, 200, log=True)] = 100


class BPR(_FoldedIn[BPRConfig]):
    """Bayesian personalised ranking (Rendle et al. 2009): held items above the others, by pairs.

    With i drawn from a history's items, all alike, and j by popularity from the others,

        loss = E_ij[−ln σ(w·(y_i − y_j) + b_i − b_j)] + λ/2 ‖w‖²
    """

    name = "bpr"
    config_type = BPRConfig

    def _fit(
        self,
        train: Histories,
        validation: HeldOut | None,  # noqa: ARG002
        options: RunOptions,
    ) -> None:
        from implicit.cpu.bpr import BayesianPersonalizedRanking

        # with more threads, which write to the same factors, a seed would not repeat
        solver = partial(BayesianPersonalizedRanking, num_threads=1)
        factors = trained(solver, self.config, train, options)  # (n_items, factors + 1)
        self._set_items(train, factors[:, :-1], factors[:, -1], options)

    def _loss(self, matrix: Matrix) -> tuple[fold_in.Gradient, fold_in.Doubles]:
        return fold_in.pairwise_loss(
            matrix, self._items, self._biases, self._negatives, self.config.regularization
        )


@dataclass(frozen=True)
class LMFConfig(FoldInConfig):
    """Settings of `LMF`, with those of `FoldInConfig`.

    Attributes
    ----------
    factors
        Latent dimensions.
    learning_rate, iterations
        Step of the AdaGrad ascent, and its passes over users and items.
    regularization
        λ, the penalty on every squared factor.
    neg_prop
        Drawn items for each held one. The library draws at most `factors + 2` a user.
    """

    factors: Annotated[Count, Search(32, 256, log=True)] = 64
    learning_rate: Annotated[Positive, Search(0.3, 3.0, log=True)] = 1.0
    regularization: Annotated[Positive, Search(0.2, 20.0, log=True)] = 2.0
    iterations: Annotated[Count, Search(15, 60, log=True)] = 30
    neg_prop: Annotated[Count, Search(5, 60, log=True)] = 30
    fold_in_steps: Count = 30


class LMF(_FoldedIn[LMFConfig]):
    """Logistic matrix factorisation (Johnson 2014): the probability that a user takes an item.

    With s_i = w·y_i + a + b_i, j drawn by popularity and m = min(neg_prop · n, factors + 2) for
    a history of n items, a being its own bias,

        loss = −Σ_i x_i ln σ(s_i) − m E_j[ln(1 − σ(s_j))] + λ/2 (‖w‖² + a²)
    """

    name = "lmf"
    config_type = LMFConfig

    def _fit(
        self,
        train: Histories,
        validation: HeldOut | None,  # noqa: ARG002
        options: RunOptions,
    ) -> None:
        from implicit.cpu.lmf import LogisticMatrixFactorization

        # with more threads, which draw from generators of their own, a seed would not repeat
        solver = partial(LogisticMatrixFactorization, num_threads=1)
        factors = trained(solver, self.config, train, options)  # (n_items, factors + 2)
        # the last two are an item's bias and the 1 that a user's bias meets
        self._set_items(train, np.delete(factors, -2, axis=1), factors[:, -2], options)

    def _loss(self, matrix: Matrix) -> tuple[fold_in.Gradient, fold_in.Doubles]:
        config = self.config
        return fold_in.logistic_loss(
            matrix,
            self._items,
            self._biases,
            self._negatives,
            negatives=np.minimum(config.neg_prop * np.diff(matrix.indptr), config.factors + 2),
            l2=config.regularization,
        )
