"""How like real histories synthetic ones are, and how near any comes to a real user's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from recsys.errors import DataError
from recsys.evaluation.fitting import fit_chosen
from recsys.insight.generation import Sampling, Tastes, generate, keys_of
from recsys.insight.generation_baselines import FACTORS, Principal, independent
from recsys.interactions.pairs import Pairs
from recsys.interactions.parts import Split
from recsys.interactions.splits import MIN_ITEMS, strong_splits, training_split
from recsys.interactions.tables import Histories, Interactions, LongArray, Matrix
from recsys.interactions.weighting import Weighting
from recsys.metrics import hits, ndcg
from recsys.models.base import Model, RunOptions
from recsys.models.registry import make_model
from recsys.models.variational import Variational
from recsys.topk import top_k

Doubles = npt.NDArray[np.float64]

GENERATOR = "mult-vae"
"""What draws, where the model at hand cannot."""

STUDENT = "dan-edlae"
"""What is trained on real and on synthetic histories: the default recommender."""

_TOGETHER = 300  # items whose pairs are compared: the most popular
_COMPARED = 1000  # histories whose nearest real one is looked for
_BATCH = 100
_DEPTH = 100
_MOST_TESTED = 800


@dataclass(frozen=True, eq=False)
class Fidelity:
    """Synthetic histories against real ones.

    Attributes
    ----------
    popularity
        Pearson correlation of in how many histories each item is.
    lengths
        Kolmogorov-Smirnov distance of the two distributions of history lengths.
    together
        Pearson correlation of in how many histories each pair of the 300 most popular items is.
    copies
        Synthetic histories of 5 items or more that are a real one.
    nearest
        float64 (m,): 1 − |A ∩ B| / |A ∪ B| of synthetic histories A of 5 items or more and the
        real B to which that is least; at most 1000 of them.
    nearest_real
        The same of real users A: those held out, where there are such, else to others than A.
    nearer_to_seen
        Share of the histories A that come nearer to a user that was learnt from than to one of as
        many held out: ½ where it makes no difference whether a user was seen, 1 where seen ones
        are copied; None without users held out.
    """

    popularity: float
    lengths: float
    together: float
    copies: int
    nearest: Doubles
    nearest_real: Doubles
    nearer_to_seen: float | None = None


def compare(
    synthetic: Matrix,
    real: Matrix,
    held_out: Matrix | None = None,
    *,
    everyone: Matrix | None = None,
) -> Fidelity:
    """Compare synthetic histories with those that they were learnt from.

    Parameters
    ----------
    synthetic, real
        (n, n_items) and (n_users, n_items).
    held_out
        Histories of further real users, of which nothing was learnt.
    everyone
        All real users, where `real` is a segment: anyone's history may be the nearest, or copied.
    """
    everyone = real if everyone is None else everyone
    lengths = [np.diff(matrix.indptr) for matrix in (synthetic, real)]
    counts = [np.bincount(matrix.indices, minlength=real.shape[1]) for matrix in (synthetic, real)]
    popular = np.argsort(-counts[1], kind="stable")[:_TOGETHER]
    pairs = [_pair_counts(matrix, popular) for matrix in (synthetic, real)]
    nearest = _nearest(synthetic, everyone)
    own = _nearest(everyone if held_out is None else held_out, everyone, others=held_out is None)
    long = sp.csr_array(synthetic[np.flatnonzero(lengths[0] >= MIN_ITEMS)])
    return Fidelity(
        _correlation(*counts),
        _distance(*lengths),
        _correlation(*pairs),
        len(keys_of(long) & keys_of(everyone)),
        nearest,
        own,
        None if held_out is None else _nearer_to_seen(synthetic, everyone, held_out),
    )


def _nearer_to_seen(synthetic: Matrix, seen: Matrix, unseen: Matrix) -> float | None:
    """Return how often a seen user is the nearest, where there are as many seen ones as unseen."""
    seen, unseen = (
        sp.csr_array(matrix[np.flatnonzero(np.diff(matrix.indptr) >= MIN_ITEMS)])
        for matrix in (seen, unseen)
    )
    n = min(seen.shape[0], unseen.shape[0])
    if not n:
        return None
    to_unseen = _nearest(synthetic, unseen[:n])
    if not len(to_unseen):
        return None
    parts = seen.shape[0] // n  # of seen users, as many in each as there are unseen ones
    to_seen = [_nearest(synthetic, sp.csr_array(seen[part::parts][:n])) for part in range(parts)]
    gaps = np.sign(to_unseen - np.stack(to_seen))
    return float((gaps.mean() + 1) / 2)


def _pair_counts(matrix: Matrix, items: LongArray) -> Doubles:
    some = sp.csr_array(matrix[:, items] > 0).astype(np.float64)
    counts: Doubles = (some.T @ some).toarray()[np.triu_indices(len(items), 1)]
    return counts


def _correlation(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> float:
    """Return Pearson's correlation, 0 where one of the two does not vary."""
    if len(one) < 2 or not (one.std() and other.std()):
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


def _distance(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> float:
    """Return the largest difference between two empirical distribution functions."""
    places = np.union1d(one, other)
    below = [
        np.searchsorted(np.sort(a), places, side="right") / max(len(a), 1) for a in (one, other)
    ]
    return float(np.abs(below[0] - below[1]).max(initial=0.0))


def _nearest(histories: Matrix, real: Matrix, *, others: bool = False) -> Doubles:
    """Return the Jaccard distance to the nearest real history, of those of 5 items or more.

    `others` leaves a row of the same number out; of more than 1000 an even part is taken.
    """
    long = np.flatnonzero(np.diff(histories.indptr) >= MIN_ITEMS)
    if len(long) > _COMPARED:
        long = long[np.linspace(0, len(long) - 1, _COMPARED).astype(np.int64)]
    sizes, columns = np.diff(real.indptr), sp.csc_array((real > 0).astype(np.float32).T)
    distances = np.ones(len(long))
    for start in range(0, len(long), _BATCH):
        rows = long[start : start + _BATCH]
        own = (histories[rows] > 0).astype(np.float32)
        common = np.asarray((own @ columns).toarray())
        union = np.diff(own.indptr)[:, None] + sizes[None, :] - common
        alike = common / np.maximum(union, 1)
        if others:
            alike[np.arange(len(rows)), rows] = 0.0
        distances[start : start + len(rows)] = 1 - alike.max(axis=1, initial=0.0)
    return distances


@dataclass(frozen=True, eq=False)
class Generator:
    """One way to draw users, measured.

    Attributes
    ----------
    name
        What drew.
    fidelity
        How like the histories are.
    ndcg
        NDCG@100 on real held-out users after training on as many synthetic users.
    """

    name: str
    fidelity: Fidelity
    ndcg: float


@dataclass(frozen=True, eq=False)
class GenerationTrial:
    """Generators compared on one split.

    Attributes
    ----------
    generators
        The variational model, PCA of the same size, and items drawn by popularity alone.
    ndcg_real
        NDCG@100 on the same users after training on the real histories.
    users
        How many real users were learnt from, and how many drawn.
    tested
        How many were held out.
    lengths, real_lengths
        int64 (users,): of the first generator's histories, and of the real ones.
    shares, real_shares
        float64 (n_items,): in what share of them each item is.
    """

    generators: tuple[Generator, ...]
    ndcg_real: float
    users: int
    tested: int
    lengths: LongArray
    real_lengths: LongArray
    shares: Doubles
    real_shares: Doubles


def measure_generation(
    interactions: Interactions,
    split: Split,
    model: Variational,
    options: RunOptions | None = None,
    sampling: Sampling | None = None,
) -> GenerationTrial:
    """Draw as many users as the model learnt from, and see what they are good for.

    Parameters
    ----------
    interactions
        The log; each pair counts 1.
    split
        Of the log, see `split_of`.
    model
        Fitted on the split's users that are not tested.
    options
        Seed and device.
    sampling
        How histories are drawn.
    """
    options = options or RunOptions()
    real = Weighting().histories(split.training.full)
    rng = np.random.default_rng(options.seed)
    whole = interactions.columns(split.items).rows(split.test.users)
    held_out = Weighting().histories(whole).matrix
    measured, first = [], real.matrix
    models: tuple[tuple[str, Variational], ...] = (
        (model.name, model),
        (f"PCA, {FACTORS}", Principal.of(real.matrix)),
    )
    for name, source in models:
        tastes = Tastes.of(source, real)
        drawn = generate(source, tastes, len(real), real=real.matrix, rng=rng, sampling=sampling)
        measured.append(_measured(name, drawn.histories, real.matrix, held_out, split))
        first = drawn.histories if source is model else first
    by_popularity = independent(real.matrix, rng)
    measured.append(_measured("popularity", by_popularity, real.matrix, held_out, split))
    return GenerationTrial(
        tuple(measured),
        _taught(real.matrix, split),
        len(real),
        len(split.test.users),
        np.diff(first.indptr).astype(np.int64),
        np.diff(real.matrix.indptr).astype(np.int64),
        _shares(first),
        _shares(real.matrix),
    )


def fitted_generator(interactions: Interactions, options: RunOptions) -> Variational:
    """Return a variational model of a log, each pair counting 1."""
    training = training_split(interactions, options.seed)
    model = fit_chosen(GENERATOR, {}, Weighting(), training, options)
    if not isinstance(model, Variational):
        raise TypeError(f"{GENERATOR} has no latents to draw from")
    return model


def split_of(interactions: Interactions, seed: int) -> Split:
    """Return the log with some users held out, a fifth of those with 5 items but at most 800.

    Raises
    ------
    DataError
        Too few users have 5 items.
    """
    eligible = int(np.count_nonzero(Pairs.of(interactions).per_user >= MIN_ITEMS))
    tested = min(_MOST_TESTED, eligible // 5)
    if tested < 1:
        raise DataError(
            f"{eligible} users have {MIN_ITEMS} items or more; 5 are needed to hold some out"
        )
    return next(strong_splits(interactions, test_users=tested, seed=seed))


def _measured(name: str, drawn: Matrix, real: Matrix, held_out: Matrix, split: Split) -> Generator:
    return Generator(name, compare(drawn, real, held_out), _taught(drawn, split))


def _taught(histories: Matrix, split: Split) -> float:
    """Return NDCG@100 on the test users after training on these histories."""
    student: Model[Any] = make_model(STUDENT).fit(Histories(histories))
    users = split.test.held_out(Weighting())
    lists = top_k(users.mask_seen(np.array(student.score(users.given))), _DEPTH)
    target = users.target.matrix
    found = ndcg(hits(lists, target), np.diff(target.indptr), _DEPTH)
    return float(np.nanmean(found))


def _shares(matrix: Matrix) -> Doubles:
    counts: Doubles = np.bincount(matrix.indices, minlength=matrix.shape[1]) / max(
        matrix.shape[0], 1
    )
    return counts
