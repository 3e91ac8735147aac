"""Lists straight from a model: its scores, cut to what may stand in a list, the best k of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recsys.interactions.tables import BoolArray, FloatArray, Histories
from recsys.models.base import Model
from recsys.topk import TopK, top_k

if TYPE_CHECKING:  # torch is loaded for a model that has a network, and no other
    from recsys.models.on_device import DeviceScan
    from recsys.models.scanning import Scan


class Scorer:
    """A model that is asked for lists; threads may share it.

    Parameters
    ----------
    model
        A fitted one.
    """

    def __init__(self, model: Model[Any]) -> None:
        self._model = model
        self._scan: Scan | DeviceScan | None = None

    @property
    def in_full(self) -> int:
        """How many lists a scan could not prove, so that every item was scored in float32."""
        return 0 if self._scan is None else self._scan.in_full

    def prepare(self, device: str = "cpu") -> None:
        """Make ready what takes a second and some memory, and pays from some hundred lists on.

        On another device than the processor, a network's lists are made there; other models stay.
        """
        if self._scan is not None:
            return
        scores = None if device == "cpu" else self._model.scores_on(device)
        if scores is not None:
            from recsys.models.on_device import DeviceScan

            self._scan = DeviceScan(scores, self._model.n_items)
        elif (factored := self._model.factored()) is not None:
            from recsys.models.scanning import scan_of

            self._scan = scan_of(factored)

    def score(self, histories: Histories) -> FloatArray:
        """Return the model's scores, float32 (b, n_items), for the caller to write to."""
        scores = self._model.score(histories)
        # a model may answer with a view of what it learnt
        return scores if scores.flags.owndata and scores.flags.writeable else scores.copy()

    def top(
        self,
        histories: Histories,
        k: int,
        *,
        allowed: BoolArray | None = None,
        barred: BoolArray | None = None,
    ) -> TopK:
        """Return the k items of highest `score` for each history, whatever way they are found.

        Parameters
        ----------
        histories
            b of them.
        k
            How many, at least 1.
        allowed
            bool (n_items,): which items may be listed at all; None for all of them.
        barred
            bool (nnz,): which entries of a history may not stand in its list; None for none.
        """
        if self._scan is not None:
            return self._scan.top(histories, k, allowed, barred)
        scores = self.score(histories)
        if barred is not None:
            scores[histories.cells(barred)] = -np.inf
        if allowed is not None and not allowed.all():
            scores[:, ~allowed] = -np.inf
        return top_k(scores, k)
