"""Measure what autoencoders are known to be weak at: copying, overfitting, dirty data, tuning.

    python benchmarks/weaknesses.py copying --data data/online-retail
    python benchmarks/weaknesses.py overfitting --data data/online-retail
    python benchmarks/weaknesses.py noise --data data/online-retail
    python benchmarks/weaknesses.py trials --data data/online-retail

All learn from the train users of one strong split, choose on its validation users, and are tested
on its test users without a refit. Tables are printed as Markdown.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any

import click
import numpy as np
import numpy.typing as npt

from recsys.cli import run
from recsys.insight.attacks import with_noise
from recsys.interactions.dataset import load_dataset
from recsys.interactions.parts import Split
from recsys.interactions.splits import strong_splits
from recsys.interactions.tables import FloatArray, HeldOut, Histories, Interactions
from recsys.interactions.weighting import Weighting
from recsys.metrics import Values
from recsys.models.base import Model, RunOptions
from recsys.models.registry import make_model, model_class
from recsys.settings import Search
from recsys.topk import top_k
from recsys.training.validation import found

Settings = Mapping[str, Any]

KINDS: dict[str, tuple[str, Settings]] = {
    "PCA": ("pure-svd", {"factors": 200}),
    "plain": ("autoencoder", {}),
    "sparse": ("sparse-autoencoder", {}),
    "denoising": ("mult-dae", {}),
    "convolutional": ("conv-autoencoder", {}),
    "variational": ("mult-vae", {}),
    "linear (ease)": ("ease", {}),
    "linear (dan-edlae)": ("dan-edlae", {}),
}
"""The kinds with their defaults, by what a textbook calls them."""

_BATCH = 500
_LONG: Settings = {"epochs": 20, "patience": None}  # stopping early would hide what is to be seen
_DRAWN = 5  # of a history's own items, left out one part after the other


@dataclass(frozen=True, eq=False)
class Ground:
    """One split: what is learnt from, on whom is chosen and tested."""

    split: Split
    seed: int

    @property
    def train(self) -> Interactions:
        """The train users' events."""
        return self.split.training.train

    @property
    def validation(self) -> HeldOut:
        """On whom is chosen."""
        return self.split.training.validation.held_out(Weighting())

    @property
    def test(self) -> HeldOut:
        """On whom is tested."""
        return self.split.test.held_out(Weighting())

    def fit(
        self, name: str, settings: Settings, train: Interactions | None = None
    ) -> tuple[Model[Any], float]:
        """Return a model that stopped where validation was best, and the seconds it took."""
        model, started = make_model(name, settings), time.perf_counter()
        validation = self.validation if model.chooses(model.config) else None
        histories = Weighting().training(train or self.train)
        model.fit(histories, validation=validation, options=RunOptions(seed=self.seed))
        return model, time.perf_counter() - started


Task = Callable[..., None]


def _on_a_split(task: Task) -> Task:
    @click.option("--data", required=True)
    @click.option("--seed", default=11, show_default=True)
    @wraps(task)
    def command(*, data: str, seed: int, **flags: Any) -> None:
        log = load_dataset(data).interactions
        task(Ground(next(strong_splits(log, test_users=800, seed=seed)), seed), **flags)

    return command


@click.group()
def weaknesses() -> None:
    """Measure the known weaknesses."""


def quality(model: Model[Any], users: HeldOut) -> Values:
    """Return each user's NDCG@100."""
    return np.concatenate(
        [found(model.score(part.given), part) for _, part in users.batches(_BATCH)]
    )


@weaknesses.command()
@_on_a_split
def copying(ground: Ground) -> None:
    """How much of a history comes back, whole and of items that were left out of the input."""
    shapes: list[tuple[str, str, Settings]] = [
        ("PCA, 200", "pure-svd", {"factors": 200}),
        ("PCA, 2000", "pure-svd", {"factors": 2000}),
        ("plain, code of 600", "autoencoder", {"hidden": (600,), **_LONG}),
        ("plain, code of 2000", "autoencoder", {"hidden": (2000,), **_LONG}),
        ("denoising, code of 600", "mult-dae", {"hidden": (600,), **_LONG}),
        ("variational, latent of 200", "mult-vae", {}),
        ("linear, zero diagonal (ease)", "ease", {}),
    ]
    _head("model", "own items, seen", "own items, left out", "NDCG@100")
    for label, name, settings in shapes:
        model, _ = ground.fit(name, settings)
        _copying_row(ground, label, model.score, quality(model, ground.test))
    score = _ridge(Weighting().histories(ground.train), 200.0)
    scores = [found(score(part.given), part) for _, part in ground.test.batches(_BATCH)]
    _copying_row(ground, "linear, free diagonal (ridge)", score, np.concatenate(scores))


def _ridge(train: Histories, l2: float) -> Callable[[Histories], FloatArray]:
    """Return the scores x B of B = (G + λI)⁻¹ G: EASE without its constraint."""
    matrix = train.matrix
    gram = (matrix.T @ matrix).toarray().astype(np.float64)
    weights = np.linalg.solve(gram + l2 * np.eye(len(gram)), gram).astype(np.float32)
    return lambda histories: np.asarray(histories.matrix @ weights)


def _copying_row(
    ground: Ground, label: str, score: Callable[[Histories], FloatArray], ndcg: Values
) -> None:
    """Print which share of a history of n items is in the first n of its scores.

    Once scored from the whole history, once each item from the four fifths that leave it out.
    """
    histories = ground.test.given
    long = histories.rows(np.flatnonzero(np.diff(histories.matrix.indptr) >= _DRAWN))
    rng = np.random.default_rng(ground.seed)
    part_of = rng.permuted(np.arange(long.matrix.nnz) % _DRAWN)
    seen = _share_back(score(long), long)
    left_out = np.mean([_without(score, long, part_of == part) for part in range(_DRAWN)])
    _row(label, f"{seen:.3f}", f"{left_out:.3f}", f"{np.nanmean(ndcg):.4f}")


def _without(
    score: Callable[[Histories], FloatArray], histories: Histories, held: npt.NDArray[np.bool_]
) -> float:
    kept, hidden = histories.matrix.copy(), histories.matrix.copy()
    kept.data, hidden.data = kept.data * ~held, hidden.data * held
    kept.eliminate_zeros()
    hidden.eliminate_zeros()
    scores = Histories(kept).mask(score(Histories(kept)))
    return _share_back(scores, Histories(hidden))


def _share_back(scores: FloatArray, wanted: Histories) -> float:
    """Return the share of each row's n wanted items that are among its n best, pooled."""
    lengths = np.diff(wanted.matrix.indptr)
    best = top_k(scores, int(lengths.max()))
    hits = 0
    for row, length in enumerate(lengths):
        start = wanted.matrix.indptr[row]
        own = wanted.matrix.indices[start : start + length]
        hits += len(np.intersect1d(own, best.row(row)[0][:length]))
    return hits / int(lengths.sum())


@weaknesses.command()
@_on_a_split
@click.option("--epochs", default=30, show_default=True)
def overfitting(ground: Ground, epochs: int) -> None:
    """Training loss and validation NDCG by epoch, with and without dropout; PCA's by factors."""
    shown = [e for e in (1, 2, 5, 10, 15, 20, 30, 40, 60, 80, 100) if e <= epochs]
    _head("model", "", "best at", *(f"epoch {e}" for e in shown))
    fixed = {"epochs": epochs, "patience": None}
    for label, name, settings in (
        ("no dropout", "autoencoder", {}),
        ("dropout .5", "mult-dae", {"dropout": 0.5}),
    ):
        model = make_model(name, {**settings, **fixed})
        histories = Weighting().training(ground.train)
        model.fit(histories, validation=ground.validation, options=RunOptions(seed=ground.seed))
        curve: list[dict[str, float]] = model.curve  # type: ignore[attr-defined]
        for key in ("loss", "ndcg@100"):
            best = max(curve, key=lambda point: point["ndcg@100"])["epoch"]
            figures = [f"{curve[e - 1][key]:.{1 if key == 'loss' else 4}f}" for e in shown]
            _row(label, key, f"{best:.0f}", *figures)
    _pca_by_factors(ground)


def _pca_by_factors(ground: Ground) -> None:
    """Print which share of the training rows' squares is lost, and validation NDCG."""
    models = {f: ground.fit("pure-svd", {"factors": f})[0] for f in (25, 50, 100, 200, 400, 1000)}
    train = Weighting().training(ground.train)
    squares = float((train.matrix.data**2).sum())
    lost = [1 - (model.embed(train).mean ** 2).sum() / squares for model in models.values()]
    reached = [np.nanmean(quality(model, ground.validation)) for model in models.values()]
    click.echo()
    _head("model", "", *(f"{factors} factors" for factors in models))
    _row("PCA", "squares lost", *(f"{share:.3f}" for share in lost))
    _row("PCA", "ndcg@100", *(f"{ndcg:.4f}" for ndcg in reached))


@weaknesses.command()
@_on_a_split
@click.option("--shares", default="0,0.1,0.3", show_default=True)
@click.option("--draws", default=1, show_default=True, help="Of the noise, averaged.")
@click.option("--kinds", default=",".join(KINDS), show_default=True)
def noise(ground: Ground, shares: str, draws: int, kinds: str) -> None:
    """NDCG of clean test users by the share of random pairs put into the training log."""
    parts = [float(part) for part in shares.split(",")]
    _head("kind", "model", "seconds", *(f"{part:.0%}" for part in parts), "left at the last")
    for kind in kinds.split(","):
        name, settings = KINDS[kind]
        figures: list[float] = []
        seconds: list[float] = []
        chosen = dict(settings)
        for part in parts:
            of_draw = []
            for draw in range(draws if part else 1):
                model, took = ground.fit(name, chosen, _dirty(ground, part, draw))
                of_draw.append(float(np.nanmean(quality(model, ground.test))))
                seconds.append(took)
            figures.append(float(np.mean(of_draw)))
        kept = f"{figures[-1] / figures[0]:.0%}"
        _row(kind, name, f"{seconds[0]:.0f}", *(f"{figure:.4f}" for figure in figures), kept)


def _dirty(ground: Ground, share: float, draw: int) -> Interactions:
    if not share:
        return ground.train
    rng = np.random.default_rng([ground.seed, draw])
    return with_noise(ground.train, "random", share, rng).interactions


@weaknesses.command()
@_on_a_split
@click.option("--trials", default=8, show_default=True)
@click.option("--models", default="pure-svd,ease,dan-edlae,mult-dae", show_default=True)
@click.option("--orders", default=200, show_default=True, help="Shuffles of the trials.")
def trials(ground: Ground, trials: int, models: str, orders: int) -> None:
    """NDCG on test users of the best of n settings drawn at random; the first is the default.

    The best is the best on validation users. Means over shuffles of the drawn settings.
    """
    numbers = [n for n in (1, 2, 4, 8, 12, 16, 24) if n <= trials]
    _head("model", "seconds a trial", *(f"best of {n}" for n in numbers))
    for name in models.split(","):
        rng = np.random.default_rng(ground.seed)
        tried = []
        seconds = 0.0
        for settings in _drawn(name, trials, rng):
            model, took = ground.fit(name, settings)
            users = (ground.validation, ground.test)
            tried.append([float(np.nanmean(quality(model, each))) for each in users])
            seconds += took
        values = np.array(tried)  # (trials, 2)
        curve = np.zeros(len(numbers))
        for _ in range(orders):
            order = np.append(0, 1 + rng.permutation(trials - 1))
            best = [order[:n][np.argmax(values[order[:n], 0])] for n in numbers]
            curve += values[best, 1] / orders
        _row(name, f"{seconds / trials:.0f}", *(f"{figure:.4f}" for figure in curve))


def _drawn(name: str, number: int, rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    """Yield settings: the defaults, then others drawn from where each is searched."""
    yield {}
    kind = model_class(name)
    space = kind.searched(kind.config_type())
    for _ in range(number - 1):
        yield {field: _value(search, rng) for field, search in space.items()}


def _value(search: Search, rng: np.random.Generator) -> Any:
    if search.choices:
        return search.choices[rng.integers(len(search.choices))]
    if search.log:
        value = float(np.exp(rng.uniform(np.log(search.low), np.log(search.high))))
    else:
        value = float(rng.uniform(search.low, search.high))
    whole = isinstance(search.low, int) and isinstance(search.high, int)
    return round(value) if whole else value


def _head(*cells: str) -> None:
    _row(*cells)
    _row(*["---"] * len(cells))


def _row(*cells: str) -> None:
    click.echo(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    run(weaknesses)
