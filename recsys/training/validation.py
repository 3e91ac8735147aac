"""The metric on which the epoch is chosen."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from recsys.interactions.tables import FloatArray, HeldOut, Histories
from recsys.metrics import Values, hits, ndcg
from recsys.topk import top_k

METRIC = "ndcg@100"
_DEPTH = 100
_BATCH = 500  # users scored at once, so that memory does not grow with their number


class Scorer(Protocol):
    """A network, or any fitted model."""

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
