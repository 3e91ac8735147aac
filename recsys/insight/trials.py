"""What is put into a log, and how well each way finds it, PCA of the same log among them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from recsys.insight.anomalies import find_anomalies
from recsys.insight.attacks import Attack, Noise, with_noise, with_profiles
from recsys.insight.denoising import JUDGES, find_noise
from recsys.insight.fit import Doubles, fit_of
from recsys.insight.latents import unit_length
from recsys.interactions.tables import BoolArray, FloatArray, HeldOut, Histories, Interactions
from recsys.interactions.weighting import Weighting
from recsys.metrics import hits, ndcg
from recsys.models.base import Model, RunOptions
from recsys.models.registry import make_model
from recsys.topk import top_k

PCA, FACTORS = "pure-svd", 200
"""What is compared with, by its name in the registry, and its size: that of Mult-VAE's latents."""

ATTACKS: tuple[Attack, ...] = ("random", "bandwagon", "scraper")
NOISES: tuple[Noise, ...] = ("random",)

_DEPTH = 100
_ROWS = 256


@dataclass(frozen=True, eq=False)
class Trial:
    """How well each way tells what was put in from what was there.

    Attributes
    ----------
    put_in
        What.
    areas
        Of each way the area under the ROC curve: 1 finds all of it first, ½ is chance.
    """

    put_in: str
    areas: dict[str, float]


def try_anomalies(
    interactions: Interactions,
    options: RunOptions,
    attacks: tuple[Attack, ...] = ATTACKS,
    share: float = 0.03,
) -> tuple[Trial, ...]:
    """Put bad profiles into the log, one kind after the other, and look for them.

    Parameters
    ----------
    interactions
        The log.
    options
        Seed and device.
    attacks
        Kinds of profiles; see `with_profiles`.
    share
        How many, as a share of the accounts.
    """
    return tuple(_anomalies(interactions, options, attack, share) for attack in attacks)


def _anomalies(log: Interactions, options: RunOptions, attack: Attack, share: float) -> Trial:
    attacked = with_profiles(log, attack, share, np.random.default_rng(options.seed))
    found = find_anomalies(fit_of(attacked.interactions, options=options))
    histories = Weighting().histories(attacked.interactions)
    scores = {
        "taste": -found.log_p_taste,
        "size and taste": -found.log_p,
        "PCA": missed_by(_pca(histories, options), histories),
        "length": found.lengths.astype(np.float64),
    }
    areas = {way: area_under_roc(attacked.bad, score) for way, score in scores.items()}
    return Trial(f"{attack} profiles", areas)


def try_noise(
    interactions: Interactions,
    options: RunOptions,
    kinds: tuple[Noise, ...] = NOISES,
    share: float = 0.1,
) -> tuple[Trial, ...]:
    """Put noise into the log, one kind after the other, and look for it.

    Parameters
    ----------
    interactions
        The log.
    options
        Seed and device.
    kinds
        Of noise; see `with_noise`.
    share
        How much, as a share of the pairs.
    """
    return tuple(_noise(interactions, options, kind, share) for kind in kinds)


def _noise(log: Interactions, options: RunOptions, kind: Noise, share: float) -> Trial:
    put = with_noise(log, kind, share, np.random.default_rng(options.seed))
    fit = fit_of(put.interactions, JUDGES, options)
    bad = np.zeros(len(fit.pairs), np.bool_)
    bad[fit.pairs.of_event[put.noise]] = True
    histories = Weighting().histories(put.interactions)
    popularity = np.bincount(fit.pairs.items)[fit.pairs.items].astype(np.float64)
    scores: dict[str, Doubles | FloatArray] = {
        "fit": -find_noise(put.interactions, fit, share).score,
        "PCA": -of_others(_pca(histories, options), histories),
        "popularity": -popularity,
    }
    return Trial(f"{kind} items", {way: area_under_roc(bad, s) for way, s in scores.items()})


def _pca(histories: Histories, options: RunOptions) -> Model[object]:
    return make_model(PCA, {"factors": FACTORS}).fit(histories, options=options)


def missed_by(pca: Model[object], histories: Histories) -> Doubles:
    """Return what principal components leave of each history, ‖x − x̂‖²: (n_users,)."""
    length = np.asarray((histories.matrix**2).sum(axis=1), np.float64)
    missed: Doubles = length - (pca.embed(histories).mean.astype(np.float64) ** 2).sum(axis=1)
    return missed


def of_others(pca: Model[object], histories: Histories) -> FloatArray:
    """Return what principal components make of each entry by the other ones alone: (nnz,).

    That is its score less what it adds to that itself, the square of its item's vector.
    """
    own = (pca.embed_items() ** 2).sum(axis=1)[histories.matrix.indices]
    score = np.concatenate([pca.score(part)[part.cells()] for _, part in histories.batches(_ROWS)])
    return np.asarray(score - own, np.float32)


def area_under_roc(bad: BoolArray, score: Doubles | FloatArray) -> float:
    """Return how often something bad has a higher score than something good, ties half: a share.

    ½ where nothing is bad, or all is.
    """
    n_bad = int(np.count_nonzero(bad))
    if not 0 < n_bad < len(bad):
        return 0.5
    ranks = float(rankdata(score)[bad].sum())
    return (ranks - n_bad * (n_bad + 1) / 2) / (n_bad * (len(bad) - n_bad))


def found_by_neighbours(
    embed: Callable[[Histories], FloatArray], known: Histories, users: HeldOut, k: int
) -> float:
    """Return NDCG@100 of what the k nearest known users have: what vectors tell of a taste.

    Parameters
    ----------
    embed
        Turns histories into vectors, (b, width).
    known
        Histories of users whose items are counted, for as much as the cosine says.
    users
        What is given of held-out users, and what is to be found.
    k
        How many known users are asked.
    """
    unit, k = unit_length(embed(known)), min(k, len(known))
    figures = []
    for _, part in users.batches(_ROWS):
        cosines = unit_length(embed(part.given)) @ unit.T
        bound = np.partition(cosines, -k, axis=1)[:, -k, None]
        weights = np.where(cosines >= bound, np.maximum(cosines, 0), 0)
        scores = np.ascontiguousarray((known.matrix.T @ weights.T).T, np.float32)
        target = part.target.matrix
        hit = hits(top_k(part.mask_seen(scores), _DEPTH), target)
        figures.append(ndcg(hit, np.diff(target.indptr), _DEPTH))
    return float(np.nanmean(np.concatenate(figures)))
