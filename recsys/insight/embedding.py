"""Where users and items lie: a model's latents, nearest neighbours, segments and a map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from recsys.insight.accounts import Log
from recsys.insight.latents import nearest
from recsys.insight.segments import Doubles, Segments, has_sklearn, places_of, segments_of
from recsys.interactions.tables import FloatArray, LongArray
from recsys.interactions.weighting import Weighting
from recsys.models.base import Embedding, Model
from recsys.topk import TopK

_ROWS = 512  # histories, or items, worked on at once
_NEIGHBOURS = 10
_MAPPED = 2000  # items on the map, those with most users


@dataclass(frozen=True, eq=False)
class Embeddings:
    """A log's users and items as vectors.

    Attributes
    ----------
    model
        The name of the model whose they are.
    users
        A row a user.
    items
        float32 (n_items, width); the width need not be that of the users.
    lengths, popularity
        int64: different items of each user, and users of each item.
    neighbours
        Of each item the ten nearest others by cosine.
    segments
        Groups of users; None without scikit-learn, or where all users are much the same.
    mapped
        int64 (m,): the items on the map, those with most users.
    places
        float64 (m, 2): where they lie; None without scikit-learn.
    """

    model: str
    users: Embedding
    items: FloatArray
    lengths: LongArray
    popularity: LongArray
    neighbours: TopK
    segments: Segments | None
    mapped: LongArray
    places: Doubles | None

    @property
    def left_out(self) -> str:
        """What is missing and why; nothing where all is there."""
        if not has_sklearn():
            return "segments and map: pip install 'recsys[insight]' brings them"
        missing = []
        if self.segments is None:
            missing.append("segments: too few users differ")
        if self.places is None:
            missing.append("map: there are too few items")
        return "; ".join(missing)


def embeddings_of(
    log: Log, model: Model[Any], weighting: Weighting, seed: int, at: int | None = None
) -> Embeddings:
    """Return the vectors of a log's users and items, and what can be seen in them.

    Segments and map need scikit-learn (extra `insight`), and are left out where it is missing.

    Parameters
    ----------
    log
        Events of any users; its items are the model's.
    model
        A fitted one with latents.
    weighting
        What weights mean to it.
    seed
        Of segments and map.
    at
        Reference time for ages, as for `Weighting.histories`.

    Raises
    ------
    UsageError
        The model has no latents.
    """
    histories = weighting.histories(log.interactions, at)
    parts = [model.embed(part) for _, part in histories.batches(_ROWS)]
    mean = np.concatenate([part.mean for part in parts])
    variances = [part.variance for part in parts if part.variance is not None]
    users = Embedding(mean, np.concatenate(variances) if variances else None)
    items, matrix = model.embed_items(), histories.matrix
    popularity = np.bincount(matrix.indices, minlength=log.interactions.n_items)
    mapped = np.argsort(-popularity, kind="stable")[:_MAPPED]
    mapped = mapped[popularity[mapped] > 0]
    return Embeddings(
        model.name,
        users,
        items,
        np.diff(matrix.indptr).astype(np.int64),
        popularity,
        nearest(items, _NEIGHBOURS),
        segments_of(mean, matrix, seed) if has_sklearn() else None,
        mapped,
        places_of(items[mapped], seed) if has_sklearn() else None,
    )
