"""Matrix factorisation and neighbourhoods, fitted by the library `implicit`.

Only the items' side is kept. Every history, a known user's too, gets its factor by folding in:
the items are frozen and the user's factor is solved under the loss that the model was trained on.
"""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
import scipy.sparse as sp
from pydantic import Field
from threadpoolctl import threadpool_limits

from recsys.files import Tensors
from recsys.interactions.tables import FloatArray, HeldOut, Histories, IntArray, Matrix
from recsys.models import fold_in
from recsys.models.base import Embedding, Model, RunOptions
from recsys.progress import progress
from recsys.settings import Search

Count = Annotated[int, Field(ge=1)]
Factors = Annotated[int, Field(ge=1), Search(64, 512, log=True)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]

_NEGATIVES = 256  # items drawn once a fit, against which BPR and LMF fold in
_ROWS = 32  # folded in at once, so that rows × items × negatives stays small


def _trained(
    solver: Callable[..., Any], config: Any, train: Histories, options: RunOptions
) -> FloatArray:
    """Fit one of implicit's factorisations, whose arguments our configs name alike.

    Returns
    -------
    The item factors, with whatever columns the solver keeps biases in.
    """
    settings = dataclasses.asdict(config)
    settings.pop("fold_in_steps", None)
    state = int(np.random.default_rng(options.seed).integers(2**31))
    # implicit runs its own threads and asks for one BLAS thread beside them
    with threadpool_limits(1, user_api="blas"), progress("fit", config.iterations) as bar:
        fitted = solver(**settings, random_state=state)
        matrix = _for_implicit(train.matrix)
        fitted.fit(matrix, show_progress=False, callback=lambda *_: bar.advance())
    factors: FloatArray = fitted.item_factors
    return factors


def _for_implicit(matrix: Matrix) -> sp.csr_matrix[np.float32]:
    """Return a copy that implicit takes and may write to."""
    arrays = (matrix.data, matrix.indices.astype(np.int32), matrix.indptr.astype(np.int32))
    return sp.csr_matrix(arrays, shape=matrix.shape, copy=True)


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

        self._set_items(_trained(AlternatingLeastSquares, self.config, train, options))

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
        factors = _trained(solver, self.config, train, options)  # (n_items, factors + 1)
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
        factors = _trained(solver, self.config, train, options)  # (n_items, factors + 2)
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


@dataclass(frozen=True)
class ItemKNNConfig:
    """Settings of `ItemKNN`.

    Attributes
    ----------
    similarity
        Cosine of the items' columns, as they are or weighted by TF-IDF, or their BM25 product.
    neighbours
        Most similar items kept for each item, itself among them.
    """

    similarity: Annotated[
        Literal["cosine", "tfidf", "bm25"], Search(choices=("cosine", "tfidf", "bm25"))
    ] = "bm25"
    neighbours: Annotated[Count, Search(10, 1000, log=True)] = 50


class ItemKNN(Model[ItemKNNConfig]):
    """Item neighbourhoods: each held item speaks for the items most similar to it.

    scores = x S, with S sparse, `neighbours` entries a row
    """

    name = "item-knn"
    config_type = ItemKNNConfig

    def _fit(
        self,
        train: Histories,
        validation: HeldOut | None,  # noqa: ARG002
        options: RunOptions,  # noqa: ARG002
    ) -> None:
        from implicit import nearest_neighbours as library

        weighting: dict[str, Callable[[Any], Any]] = {
            "cosine": library.normalize,
            "tfidf": lambda items: library.normalize(library.tfidf_weight(items)),
            "bm25": lambda items: library.bm25_weight(items, K1=1.2, B=0.75),
        }
        solver = library.ItemItemRecommender(K=self.config.neighbours)
        with np.errstate(invalid="ignore"):
            weighted = weighting[self.config.similarity](_for_implicit(train.matrix).T)
        # TF-IDF weighs a user of all items but one as 0: what only they have has no direction
        weighted.data = np.nan_to_num(weighted.data)
        solver.fit(weighted.T.tocsr(), show_progress=False)
        self._similarity: Matrix = sp.csr_array(solver.similarity.astype(np.float32))

    def _score(self, histories: Histories) -> FloatArray:
        scores: FloatArray = (histories.matrix @ self._similarity).toarray()
        return scores

    def tensors(self) -> Tensors:
        """Return S as the three arrays of a CSR matrix."""
        self.check_fitted()
        return {name: getattr(self._similarity, name) for name in ("data", "indices", "indptr")}

    def _restore(self, n_items: int, tensors: Tensors) -> None:
        arrays = (tensors["data"], tensors["indices"], tensors["indptr"])
        self._similarity = sp.csr_array(arrays, shape=(n_items, n_items))
