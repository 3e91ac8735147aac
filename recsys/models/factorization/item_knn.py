"""Item neighbourhoods."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import scipy.sparse as sp

from recsys.files import Tensors
from recsys.interactions.tables import FloatArray, HeldOut, Histories, Matrix
from recsys.models.base import Model, RunOptions
from recsys.models.factorization.fitting import Count, for_implicit
from recsys.settings import Search


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
            weighted = weighting[self.config.similarity](for_implicit(train.matrix).T)
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
