"""Groups of users who lie near each other, told by what they take; and a map of items.

Both come from scikit-learn (extra `insight`).
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import numpy.typing as npt

from recsys.errors import MissingDependencyError
from recsys.insight.latents import unit_length
from recsys.interactions.tables import FloatArray, IntArray, LongArray, Matrix

Doubles = npt.NDArray[np.float64]

FEWEST, MOST = 4, 12
"""How many segments there may be: fewer tell little of a customer base, more are not read."""

_JUDGED = 2000  # users whose silhouettes choose the number
_STARTS = 3
_TYPICAL_SHARE = 0.1  # of a segment's users, who must have an item for it to be typical
_TYPICAL = 10
_PERPLEXITY = 30.0


@dataclass(frozen=True, eq=False)
class Segments:
    """Groups of users, the largest first.

    Attributes
    ----------
    of_user
        int32 (n_users,): the segment of each user; that of a user without an item means nothing.
    sizes
        int64 (k,): users with an item, of each.
    silhouettes
        The mean silhouette for each number of segments tried; the highest was taken.
    typical
        Of each segment the items that are most its own.
    of_item
        (n_items,): the segment whose users take each item most, for their number.
    """

    of_user: IntArray
    sizes: LongArray
    silhouettes: dict[int, float]
    typical: tuple[tuple[Typical, ...], ...]
    of_item: npt.NDArray[np.intp]


@dataclass(frozen=True)
class Typical:
    """An item that a segment's users have more often than users do in general.

    Attributes
    ----------
    item
        Its column.
    share
        Share of the segment's users who have it.
    lift
        That over the share of all users.
    """

    item: int
    share: float
    lift: float


def has_sklearn() -> bool:
    """Return whether scikit-learn is there."""
    return find_spec("sklearn") is not None


def segments_of(latents: FloatArray, histories: Matrix, seed: int) -> Segments | None:
    """Return segments by k-means on latents of length 1; None for fewer users than twice `FEWEST`.

    Their number, from `FEWEST` to `MOST`, is the one of the highest mean silhouette (Rousseeuw
    1987): how much nearer users are to their own segment than to the next.

    Parameters
    ----------
    latents
        (n_users, width).
    histories
        (n_users, n_items): users without an entry take no part.
    seed
        Of starts, and of the users whose silhouettes are taken.

    Raises
    ------
    MissingDependencyError
        Without scikit-learn.
    """
    if not has_sklearn():
        raise MissingDependencyError("scikit-learn", "insight", "grouping users")
    from sklearn.cluster import KMeans
    from sklearn.metrics import silhouette_score

    active = np.flatnonzero(np.diff(histories.indptr))
    unit = unit_length(latents)
    different = len(np.unique(unit[active], axis=0))
    if different < 2 * FEWEST:
        return None
    judged = min(_JUDGED, len(active))
    found, silhouettes = {}, {}
    for k in range(FEWEST, min(MOST, different - 1) + 1):
        found[k] = KMeans(k, n_init=_STARTS, random_state=seed).fit(unit[active])
        labels = found[k].labels_
        silhouettes[k] = float(
            silhouette_score(unit[active], labels, sample_size=judged, random_state=seed)
        )
    best = max(silhouettes, key=lambda k: silhouettes[k])
    sizes = np.bincount(found[best].labels_, minlength=best)
    rank = np.argsort(np.argsort(-sizes, kind="stable"))
    of_user = rank[found[best].predict(unit)].astype(np.int32)
    descending = np.sort(sizes)[::-1].astype(np.int64)
    shares = _shares(histories, of_user, descending)
    typical = _typical(
        shares, np.bincount(histories.indices, minlength=shares.shape[1]), len(active)
    )
    return Segments(of_user, descending, silhouettes, typical, shares.argmax(axis=0))


def _shares(histories: Matrix, of_user: IntArray, sizes: LongArray) -> Doubles:
    """Return which share of each segment's users has each item: (k, n_items)."""
    of_entry = np.repeat(of_user, np.diff(histories.indptr)).astype(np.int64)
    n_items = histories.shape[1]
    counts = np.bincount(of_entry * n_items + histories.indices, minlength=len(sizes) * n_items)
    shares: Doubles = counts.reshape(len(sizes), n_items) / np.maximum(sizes, 1)[:, None]
    return shares


def _typical(shares: Doubles, counts: LongArray, n_users: int) -> tuple[tuple[Typical, ...], ...]:
    """Return of each segment the items of highest lift among those that a tenth of it has."""
    overall = np.maximum(counts, 1) / n_users
    described = []
    for share in shares:
        frequent = share >= min(_TYPICAL_SHARE, float(share.max()))
        lift = np.where(frequent, share / overall, 0)
        best = np.argsort(-lift, kind="stable")[:_TYPICAL]
        described.append(
            tuple(Typical(int(i), float(share[i]), float(lift[i])) for i in best if lift[i] > 1)
        )
    return tuple(described)


def places_of(vectors: FloatArray, seed: int) -> Doubles | None:
    """Return places on a plane that keep neighbours together, (n, 2); None for fewer than five.

    t-SNE (van der Maaten & Hinton 2008) on cosine distances. Who is near whom means something; how
    far apart the far ones are, and the axes, do not.

    Raises
    ------
    MissingDependencyError
        Without scikit-learn.
    """
    if not has_sklearn():
        raise MissingDependencyError("scikit-learn", "insight", "drawing a map")
    from sklearn.manifold import TSNE

    if len(vectors) < 5:
        return None
    perplexity = min(_PERPLEXITY, (len(vectors) - 1) / 3)
    # of unit vectors the squared distance is twice one less the cosine
    tsne = TSNE(perplexity=perplexity, init="random", random_state=seed, n_jobs=1)
    places: Doubles = tsne.fit_transform(unit_length(vectors)).astype(np.float64)
    return places
