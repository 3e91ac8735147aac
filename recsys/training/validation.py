"""The metric on which the epoch is chosen."""

from __future__ import annotations

import numpy as np

from recsys.interactions.tables import HeldOut
from recsys.metrics import hits, ndcg
from recsys.topk import top_k
from recsys.training.network import Network

METRIC = "ndcg@100"
_DEPTH = 100
_BATCH = 500  # users scored at once, so that memory does not grow with their number


def validate(network: Network, held_out: HeldOut) -> float:
    """Return the mean NDCG@100 over the held-out users who have something to be found."""
    per_user = []
    for _, users in held_out.batches(_BATCH):
        lists = top_k(users.mask_seen(network.score(users.given)), _DEPTH)
        target = users.target.matrix
        per_user.append(ndcg(hits(lists, target), np.diff(target.indptr), _DEPTH))
    return float(np.nanmean(np.concatenate(per_user)))
