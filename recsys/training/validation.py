"""The metric on which the epoch is chosen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from recsys.interactions.tables import FloatArray, HeldOut, Histories
from recsys.metrics import Values, hits, ndcg
from recsys.topk import top_k
from recsys.training.batches import Batch, DeviceHistories
from recsys.training.distributed import World

METRIC = "ndcg@100"
_DEPTH = 100
_BATCH = 500  # users scored at once, so that memory does not grow with their number


class Scorer(Protocol):
    """Any fitted model."""

    def score(self, histories: Histories) -> FloatArray:
        """Return float32 (b, n_items), which may be written to."""


def validate(scorer: Scorer, held_out: HeldOut) -> float:
    """Return the mean NDCG@100 over the held-out users who have something to be found."""
    per_user = [found(scorer.score(users.given), users) for _, users in held_out.batches(_BATCH)]
    return float(np.nanmean(np.concatenate(per_user)))


def found(scores: FloatArray, users: HeldOut) -> Values:
    """Return each user's NDCG@100, (b,), NaN where nothing is to be found.

    `scores`, (b, n_items), are written to: seen items are masked.
    """
    lists = top_k(users.mask_seen(scores), _DEPTH)
    target = users.target.matrix
    return ndcg(hits(lists, target), np.diff(target.indptr), _DEPTH)


class DeviceHeldOut:
    """Held-out users on the training device: scores, lists and hits never leave it.

    Parameters
    ----------
    held_out
        At least one of them has something to be found.
    device
        Where the network is.
    world
        Processes that share the users.
    """

    def __init__(self, held_out: HeldOut, device: torch.device, world: World | None = None) -> None:
        given = DeviceHistories(held_out.given, device, world=world)
        target = DeviceHistories(held_out.target, device, world=world)
        parts = torch.split(torch.arange(len(given), device=device), _BATCH)
        self._world = given.world
        self._batches = [(given.take(rows), target.take(rows)) for rows in parts]
        self._repeats, self._device = held_out.repeats, device

    @torch.inference_mode()
    def validate(self, score: Callable[[Batch], Tensor]) -> float:
        """Return what `validate` does, but for the order of items whose scores are equal.

        Parameters
        ----------
        score
            Returns float32 (b, n_items) for b histories: a network.
        """
        sums = torch.zeros(2, dtype=torch.float64, device=self._device)
        for given, target in self._batches:
            sums += self._sums(score(given), given, target)
        self._world.add_up([sums])
        total, users = sums.tolist()
        return float(total / users)

    def _sums(self, scores: Tensor, given: Batch, target: Batch) -> Tensor:
        """Return the sum of NDCG@100 over a batch, and over how many users: float64 (2,)."""
        if not self._repeats:
            scores.view(-1).index_fill_(0, given.cells, -torch.inf)
        best = scores.topk(min(_DEPTH, scores.shape[1]), dim=1)
        rows = torch.arange(len(target), device=scores.device) * target.n_items
        hit = torch.isin(rows[:, None] + best.indices, target.cells) & (best.values > -torch.inf)
        ranks = torch.arange(_DEPTH, dtype=torch.float64, device=scores.device)
        discounts = 1 / (ranks + 2).log2()
        ideal = torch.cat([discounts.new_zeros(1), discounts.cumsum(0)])
        relevant = target.offsets.diff()
        gained = (hit * discounts[: hit.shape[1]]).sum(1)
        shares = gained / ideal[relevant.clamp(max=_DEPTH)]
        some = relevant > 0
        return torch.stack([shares[some].sum(), some.sum().double()])
