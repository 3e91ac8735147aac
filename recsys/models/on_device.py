"""Lists made where a network is: scores, masks and the best k on one device, most often a GPU."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from recsys.interactions.tables import BoolArray, Histories
from recsys.topk import TopK, top_k

Scores = Callable[[Histories], Tensor]


class DeviceScan:
    """Finds the k highest of scores that a device makes; nothing but they comes back from it.

    Parameters
    ----------
    scores
        Histories to float32 (b, n_items), on the device.
    n_items
        Size of the catalogue.
    """

    def __init__(self, scores: Scores, n_items: int) -> None:
        self._scores, self._n_items = scores, n_items
        self.in_full = 0

    @torch.inference_mode()
    def top(
        self, histories: Histories, k: int, allowed: BoolArray | None, barred: BoolArray | None
    ) -> TopK:
        """Return the k best of each history; see `Scorer.top`."""
        scores = self._scores(histories).float()
        if barred is not None:
            rows, columns = histories.cells(barred)
            scores[_indices(rows, scores), _indices(columns, scores)] = -torch.inf
        if allowed is not None and not allowed.all():
            shut = _indices(np.flatnonzero(~allowed), scores)
            scores.index_fill_(1, shut, -torch.inf)
        k = min(k, self._n_items)
        values, items = scores.topk(k, dim=1)
        items, order = items.sort(dim=1)  # of ties, the lower item
        values = values.gather(1, order)
        values, order = values.sort(dim=1, descending=True, stable=True)
        best = TopK(
            items.gather(1, order).int().cpu().numpy(),
            values.cpu().numpy(),
            (values > -torch.inf).sum(dim=1).int().cpu().numpy(),
        )
        self._settle(scores, best, values, k)
        return best

    def _settle(self, scores: Tensor, best: TopK, values: Tensor, k: int) -> None:
        """Choose anew where more items tie for the last place than there are places for."""
        last = values[:, -1:]
        tied = ((scores >= last).sum(dim=1) > k) & (last[:, 0] > -torch.inf)
        for row in tied.nonzero()[:, 0].tolist():
            again = top_k(scores[row : row + 1].cpu().numpy(), k)
            best.items[row], best.scores[row] = again.items[0], again.scores[0]


def _indices(places: np.ndarray, scores: Tensor) -> Tensor:
    return torch.from_numpy(places.astype(np.int64)).to(scores.device)
