"""Measure what insight finds, by putting what is to be found into a log.

    python benchmarks/insight.py anomalies --data data/online-retail
    python benchmarks/insight.py denoise --data data/online-retail
    python benchmarks/insight.py embed --data data/online-retail --films "$RECSYS_DATA/ml-1m"
    python benchmarks/insight.py compress --data data/online-retail

Tables are printed as Markdown. What is compared with comes from scikit-learn (extra `dev`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, get_args

import click
import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from insight_vectors import compress, embed
from insight_vectors import line as _line
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score

from recsys.cli import run
from recsys.insight.anomalies import find_anomalies
from recsys.insight.attacks import Attack, Noise, with_noise, with_profiles
from recsys.insight.denoising import JUDGES, find_noise
from recsys.insight.fit import Fit, Judge, fit_of
from recsys.insight.trials import of_others
from recsys.interactions.dataset import load_dataset
from recsys.interactions.pairs import Pairs
from recsys.interactions.splits import strong_splits
from recsys.interactions.tables import BoolArray, FloatArray, Histories, Interactions, Matrix
from recsys.interactions.weighting import Weighting
from recsys.models.base import Model, RunOptions
from recsys.models.registry import make_model
from recsys.training.validation import validate

Doubles = npt.NDArray[np.float64]
Figures = dict[str, tuple[float, float]]

_FACTORS = 200  # the latent of Mult-VAE as published


@click.group()
def insight() -> None:
    """Measure what insight finds."""


@insight.command()
@click.option("--data", required=True)
@click.option("--attacks", default=",".join(get_args(Attack)), show_default=True)
@click.option("--shares", default="0.01,0.03,0.05", show_default=True)
@click.option("--seeds", default="11,12,13", show_default=True)
@click.option("--judge", help="Another model judges, with its defaults.")
def anomalies(*, data: str, attacks: str, shares: str, seeds: str, judge: str | None) -> None:
    """AUC / precision at the injected share of each score, means over seeds."""
    log = load_dataset(data).interactions
    rows: list[list[str]] = []
    for attack in attacks.split(","):
        for share in map(float, shares.split(",")):
            of_seed = [
                _scores_of(log, attack, share, int(seed), judge)  # type: ignore[arg-type]
                for seed in seeds.split(",")
            ]
            names = list(of_seed[0])
            auc, precision = np.mean([[one[name] for name in names] for one in of_seed], axis=0).T
            cells = [f"{a:.3f} / {p:.2f}" for a, p in zip(auc, precision, strict=True)]
            rows.append([attack, f"{share:.0%}", *cells])
            if len(rows) == 1:
                _line(["profiles", "share", *names])
                _line(["---"] * (len(names) + 2))
            _line(rows[-1])


def _scores_of(
    log: Interactions, attack: Attack, share: float, seed: int, judge: str | None
) -> Figures:
    attacked = with_profiles(log, attack, share, np.random.default_rng(seed))
    judges = (Judge(judge, {}) if judge else Judge(),)
    fit = fit_of(attacked.interactions, judges, RunOptions(seed=seed))
    ours = find_anomalies(fit)
    matrix = Weighting().histories(attacked.interactions).matrix
    residual = _pca_residual(matrix)
    # the same calibration for PCA as for taste: by length, from the median and a quantile
    share_missed = np.repeat(1 - residual / ours.lengths, ours.lengths)
    alike = find_anomalies(Fit(fit.pairs, share_missed, share_missed))
    scores = {
        "taste": -ours.log_p_taste,
        "size and taste": -ours.log_p,
        f"PCA {_FACTORS}": residual,
        f"PCA {_FACTORS} for its length": -alike.log_p_taste,
        "isolation forest": _forest(fit.pairs, attacked.interactions.n_items, seed),
        "length": ours.lengths.astype(float),
    }
    return {name: _auc_and_precision(attacked.bad, score) for name, score in scores.items()}


def _auc_and_precision(bad: BoolArray, score: Doubles) -> tuple[float, float]:
    """Return the area under the ROC, and the part of the top n that is bad, n being all bad."""
    top = np.argsort(-score, kind="stable")[: np.count_nonzero(bad)]
    return float(roc_auc_score(bad, score)), float(bad[top].mean())


def _pca_residual(matrix: Matrix) -> Doubles:
    """Return ‖x − x̂‖² of each history."""
    pca = PCA(_FACTORS, svd_solver="arpack", random_state=0).fit(sp.csr_matrix(matrix))
    latent = pca.transform(sp.csr_matrix(matrix))
    centred = sp.csr_array(matrix) @ (-2 * pca.mean_) + matrix.sum(axis=1) + pca.mean_ @ pca.mean_
    residual: Doubles = centred - (latent**2).sum(axis=1)
    return residual


def _forest(pairs: Pairs, n_items: int, seed: int) -> Doubles:
    """Return an isolation forest's score on length and on how popular the items are."""
    counts = np.bincount(pairs.items, minlength=n_items)
    by_count = np.argsort(-counts, kind="stable")
    popular, rare = np.zeros(n_items), np.zeros(n_items)
    popular[by_count[: n_items // 100]] = rare[by_count[n_items // 2 :]] = 1
    logs = np.log(counts[pairs.items])

    def mean(values: Doubles) -> Doubles:
        return np.bincount(pairs.users, values, pairs.n_users) / pairs.per_user

    features = [
        np.log(pairs.per_user),
        mean(logs),
        np.sqrt(np.maximum(mean(logs**2) - mean(logs) ** 2, 0)),
        mean(popular[pairs.items]),
        mean(rare[pairs.items]),
    ]
    forest = IsolationForest(n_estimators=200, random_state=seed).fit(np.stack(features, axis=1))
    score: Doubles = -forest.score_samples(np.stack(features, axis=1))
    return score


@insight.command()
@click.option("--data", required=True)
@click.option("--noises", default=",".join(get_args(Noise)), show_default=True)
@click.option("--shares", default="0.05,0.1,0.2", show_default=True)
@click.option("--remove", default="0.1,0.2", show_default=True, help="Shares taken out.")
@click.option("--model", default="dan-edlae", show_default=True, help="What is trained on it.")
@click.option("--seeds", default="11,12,13", show_default=True)
def denoise(*, data: str, noises: str, shares: str, remove: str, model: str, seeds: str) -> None:
    """AUC of each score; NDCG@100 of clean test users after training on each log."""
    log = load_dataset(data).interactions
    removed = [float(part) for part in remove.split(",")]
    settings = [("none", 0.0)]
    settings += [(kind, float(part)) for kind in noises.split(",") for part in shares.split(",")]
    for number, (kind, share) in enumerate(settings):
        of_seed: dict[str, list[float]] = defaultdict(list)
        for seed in map(int, seeds.split(",")):
            for name, figure in _denoised(
                log, kind, share, seed=seed, removed=removed, model=model
            ):
                of_seed[name].append(figure)
        if not number:
            wanted = ["AUC", "AUC, never repeats", "AUC popularity", "AUC PCA", "AUC item-knn"]
            wanted += ["NDCG clean", "NDCG noisy", *list(of_seed)[1:]]
            _line(["noise", "share", *wanted])
            _line(["---"] * (len(wanted) + 2))
        cells = [f"{np.mean(of_seed[name]):.4f}" if of_seed[name] else "–" for name in wanted]
        _line([kind, f"{share:.0%}", *cells])


def _denoised(
    log: Interactions,
    kind: str,
    share: float,
    *,
    seed: int,
    removed: Sequence[float],
    model: str,
) -> Iterator[tuple[str, float]]:
    """Yield named figures of one split: its training users get the noise, its test users none."""
    split = next(strong_splits(log, test_users=800, seed=seed))
    clean = split.training.full
    probe = split.test.held_out(Weighting())

    def quality(events: Interactions) -> float:
        fitted = make_model(model).fit(Weighting().training(events), options=RunOptions(seed=seed))
        return validate(fitted, probe)

    yield "NDCG clean", quality(clean)
    noisy = clean
    if share:
        put = with_noise(clean, kind, share, np.random.default_rng(seed))  # type: ignore[arg-type]
        noisy = put.interactions
        yield "NDCG noisy", quality(noisy)
    fit = fit_of(noisy, JUDGES, options=RunOptions(seed=seed))
    if share:
        bad = np.zeros(len(fit.pairs), np.bool_)
        bad[fit.pairs.of_event[put.noise]] = True
        noise = find_noise(noisy, fit, removed[0])
        yield "AUC", roc_auc_score(bad, -noise.score)
        yield "AUC, never repeats", roc_auc_score(bad, -np.where(noise.again, 2, noise.score))
        yield from _compared(noisy, fit, bad, seed)
    for part in removed:
        gone = find_noise(noisy, fit, part).of_event
        yield f"NDCG less {part:.0%}", quality(noisy.where(~gone))


def _compared(
    noisy: Interactions, fit: Fit, bad: BoolArray, seed: int
) -> Iterator[tuple[str, float]]:
    pairs = fit.pairs
    yield "AUC popularity", roc_auc_score(bad, -np.bincount(pairs.items)[pairs.items])
    histories = Weighting().histories(noisy)
    matrix = histories.matrix
    yield "AUC PCA", max(_of_pca(histories, factors, bad) for factors in (50, 200))
    best = 0.0
    for similarity in ("cosine", "tfidf", "bm25"):
        settings = {"similarity": similarity, "neighbours": 200}
        knn = make_model("item-knn", settings).fit(histories, options=RunOptions(seed=seed))
        alone = knn.tensors()
        weights = sp.csr_array(
            (alone["data"], alone["indices"], alone["indptr"]), shape=(matrix.shape[1],) * 2
        )
        own = weights.diagonal()[pairs.items]
        best = max(best, float(roc_auc_score(bad, own - _of_pairs(knn, histories))))
    yield "AUC item-knn", best


def _of_pca(histories: Histories, factors: int, bad: BoolArray) -> float:
    """Return the AUC of what PCA makes of an entry by the other ones."""
    pca = make_model("pure-svd", {"factors": factors}).fit(histories)
    return float(roc_auc_score(bad, -of_others(pca, histories)))


def _of_pairs(model: Model[Any], histories: Histories) -> FloatArray:
    """Return the score of each entry of the histories: float32 (nnz,)."""
    return np.concatenate([model.score(part)[part.cells()] for _, part in histories.batches(256)])


insight.add_command(embed)
insight.add_command(compress)

if __name__ == "__main__":
    run(insight)
