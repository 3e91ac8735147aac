"""Measure what latents are worth, and what bytes keep; commands of `benchmarks/insight.py`.

python benchmarks/insight.py embed --data data/online-retail --films "$RECSYS_DATA/ml-1m"
python benchmarks/insight.py compress --data data/online-retail
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import click
import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegressionCV
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from recsys.insight.compression import measure_compression
from recsys.insight.compression_codes import Bits, Components
from recsys.insight.latents import unit_length
from recsys.insight.trials import found_by_neighbours
from recsys.interactions.dataset import DatasetSpec, load_dataset
from recsys.interactions.splits import strong_splits, training_split
from recsys.interactions.tables import (
    MICROSECONDS_PER_DAY,
    FloatArray,
    HeldOut,
    Histories,
    Interactions,
)
from recsys.interactions.times import from_iso
from recsys.interactions.weighting import Weighting
from recsys.models.base import RunOptions
from recsys.models.registry import make_model

WIDTH_OF: dict[str, Callable[[int], dict[str, Any]]] = {
    "pure-svd": lambda width: {"factors": width},
    "autoencoder": lambda width: {"hidden": [width]},
    "sparse-autoencoder": lambda width: {"units": width, "active": width // 4},
    "conv-autoencoder": lambda width: {"width": width},
    "als": lambda width: {"factors": width},
    "elsa": lambda width: {"factors": width},
    "mult-dae": lambda width: {"hidden": [width]},
    "mult-vae": lambda width: {"hidden": [600, width]},
    "recvae": lambda width: {"latent": width},
}
_NEIGHBOURS = (25, 50, 100, 200)
_FILMS = Path(__file__).parent / "datasets" / "ml-1m.toml"


@dataclass(frozen=True)
class Vectors:
    """What makes vectors of histories, and those of the items."""

    embed: Callable[[Histories], FloatArray]
    items: FloatArray


@click.command()
@click.option("--data", required=True, help="The shop.")
@click.option("--films", help="MovieLens 1M, for genres.")
@click.option("--models", default="pca,als,elsa,mult-dae,mult-vae", show_default=True)
@click.option("--width", default=64, show_default=True)
@click.option(
    "--cuts", default="2011-06-01,2011-09-01", show_default=True, help="'' leaves them out."
)
@click.option("--seed", default=98765, show_default=True)
def embed(*, data: str, films: str | None, models: str, width: int, cuts: str, seed: int) -> None:
    """Withheld items by k-NN, who buys again, and genres from the vectors of each model."""
    shop = load_dataset(data).interactions
    dates = [cut for cut in cuts.split(",") if cut]
    line(["latent", "k-NN NDCG@100", "buys again", "with recency and frequency", "genres"])
    line(["---"] * 5)
    for name in models.split(","):
        again = [_buys_again(shop, cut, name, width, seed) for cut in dates]
        genres = _genres(films, name, width, seed) if films else None
        line(
            [
                f"{name} {width}",
                f"{_by_neighbours(shop, name, width, seed):.4f}",
                *([f"{auc:.3f}" for auc in np.mean(again, axis=0)] if again else ["–"] * 2),
                "–" if genres is None else f"{genres:.3f}",
            ]
        )
    if dates:
        alone = np.mean([_recency(shop, cut, seed) for cut in dates])
        line(["recency and frequency alone", "–", "–", f"{alone:.3f}", "–"])


def _vectors(
    name: str, width: int, train: Histories, validation: HeldOut | None, seed: int
) -> Vectors:
    if name == "pca":
        found_ = Components.of(train.matrix, width, seed)
        return Vectors(lambda histories: found_.latents(histories.matrix), found_.vectors)
    model = make_model(name, WIDTH_OF[name](width))
    model.fit(train, validation=validation, options=RunOptions(seed=seed))
    return Vectors(lambda histories: model.embed(histories).mean, model.embed_items())


def _by_neighbours(shop: Interactions, name: str, width: int, seed: int) -> float:
    """Return NDCG@100 of what the nearest training users have, k chosen on validation users."""
    split = next(strong_splits(shop, test_users=800, seed=seed))
    training, weighting = split.training, Weighting()
    validation = training.validation.held_out(weighting)
    train = weighting.training(training.train)
    vectors = _vectors(name, width, train, validation, seed)
    reached = {k: found_by_neighbours(vectors.embed, train, validation, k) for k in _NEIGHBOURS}
    best = max(reached, key=lambda k: reached[k])
    test = split.test.held_out(weighting)
    return found_by_neighbours(vectors.embed, train, test, best)


def _customers(shop: Interactions, cut: str) -> tuple[Interactions, npt.NDArray[np.bool_], int]:
    """Return what came before a cut, and who bought in the 90 days after it."""
    assert shop.times is not None
    at = from_iso(cut, "cut")
    horizon = at + 90 * MICROSECONDS_PER_DAY
    before = shop.where(shop.times < at)
    users = np.flatnonzero(np.diff(before.indptr))
    after = shop.where((shop.times >= at) & (shop.times < horizon))
    return before.rows(users), np.diff(after.indptr)[users] > 0, at


def _buys_again(
    shop: Interactions, cut: str, name: str, width: int, seed: int
) -> tuple[float, float]:
    """Return the AUC of the latents alone, and with recency and frequency."""
    before, again, at = _customers(shop, cut)
    training, weighting = training_split(before, seed), Weighting()
    vectors = _vectors(
        name,
        width,
        weighting.training(training.train),
        training.validation.held_out(weighting),
        seed,
    )
    latents = np.asarray(vectors.embed(weighting.histories(before)), np.float64)
    both = np.concatenate([latents, _features(before, at)], axis=1)
    return _auc(latents, again, seed), _auc(both, again, seed)


def _recency(shop: Interactions, cut: str, seed: int) -> float:
    before, again, at = _customers(shop, cut)
    return _auc(_features(before, at), again, seed)


def _features(before: Interactions, at: int) -> npt.NDArray[np.float64]:
    """Return logarithms of days since the last purchase, of days bought and of events."""
    assert before.times is not None
    last = before.times[before.indptr[1:] - 1]
    days = before.times // MICROSECONDS_PER_DAY
    new = np.diff(days, prepend=-1) != 0
    new[before.indptr[:-1]] = True
    bought = np.add.reduceat(new.astype(np.int64), before.indptr[:-1])
    counts = ((at - last) / MICROSECONDS_PER_DAY, bought, np.diff(before.indptr))
    return np.log1p(np.stack(counts, axis=1).astype(np.float64))


def _auc(features: npt.NDArray[np.float64], truth: npt.NDArray[np.bool_], seed: int) -> float:
    """Return the AUC of a logistic regression's predictions in five folds."""
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    regression = LogisticRegressionCV(
        Cs=[0.001, 0.01, 0.1, 1.0],
        cv=3,
        scoring="roc_auc",
        l1_ratios=(0.0,),
        use_legacy_attributes=False,
    )
    model = make_pipeline(StandardScaler(), regression)
    predicted = cross_val_predict(model, features, truth, cv=folds, method="predict_proba")
    return float(roc_auc_score(truth, predicted[:, 1]))


def _genres(films: str, name: str, width: int, seed: int) -> float:
    """Return the mean AUC of telling each genre from the films' vectors."""
    dataset = load_dataset(films, DatasetSpec.read(films, _FILMS))
    training, weighting = training_split(dataset.interactions, seed), Weighting()
    vectors = _vectors(
        name,
        width,
        weighting.training(training.train),
        training.validation.held_out(weighting),
        seed,
    )
    counts = np.bincount(dataset.interactions.items, minlength=len(dataset.items))
    known = np.flatnonzero(counts >= 5)
    items = np.asarray(unit_length(vectors.items[known]), np.float64)
    return float(np.mean(list(_of_genres(items, dataset.catalogue.categories, known, seed))))


def _of_genres(
    items: npt.NDArray[np.float64],
    categories: Sequence[tuple[str, ...]],
    known: npt.NDArray[np.integer],
    seed: int,
) -> Iterator[float]:
    for genre in sorted({one for item in known for one in categories[item]}):
        truth = np.array([genre in categories[item] for item in known])
        if truth.sum() >= 25:
            yield _auc(items, truth, seed)


@click.command()
@click.option("--data", required=True)
@click.option("--sizes", default="8,16,32,64,128", show_default=True)
@click.option("--seed", default=98765, show_default=True)
def compress(*, data: str, sizes: str, seed: int) -> None:
    """Share of held-out users' histories found in the top n of what their codes decode to."""
    log, numbers = load_dataset(data).interactions, [int(size) for size in sizes.split(",")]
    measured = measure_compression(log, numbers, get_args(Bits), seed)
    line(["bytes a user", "bits", "latents", "autoencoder", "PCA", "item list"])
    line(["---"] * 6)
    share = {(one.way, one.bits, one.n_bytes): one for one in measured.kept}
    listed = {one.n_bytes: one.share for one in measured.kept if one.way == "item list"}
    for (way, bits, size), one in share.items():
        if way == "autoencoder":
            pca = share["PCA", bits, size].share
            cells = (one.share, pca, listed[size])
            line([str(size), bits, str(one.width), *(f"{cell:.3f}" for cell in cells)])


def line(cells: Sequence[str]) -> None:
    click.echo(f"| {' | '.join(cells)} |")
