"""Training anew as last time, and publishing it only where nothing speaks against it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt

from recsys.artifacts import Artifact, DataFacts, load_current
from recsys.errors import RecsysError, UsageError
from recsys.evaluation.fitting import fit_chosen
from recsys.evaluation.measuring import Measure
from recsys.evaluation.publishing import Published, Recipe, train_and_publish
from recsys.evaluation.significance import paired_p_values
from recsys.interactions.dataset import Dataset
from recsys.interactions.parts import Probe, Split
from recsys.interactions.spec import is_url
from recsys.interactions.tables import MICROSECONDS_PER_DAY, Interactions
from recsys.interactions.temporal import temporal_splits, temporal_training
from recsys.models.base import RunOptions
from recsys.store.store import Store
from recsys.store.training import load_data, load_store, with_store

METRIC = "ndcg@100"
SURE = 0.05
"""A difference whose p-value is not below this could be chance."""

_LONGEST = 90  # days of the horizon, or a fifth of the time where that is less


class RefusedError(RecsysError):
    """What was learnt, or was to be learnt from, is not fit to be published."""


@dataclass(frozen=True)
class Shares:
    """How far the data's counts may be from those of the last time, as shares of these."""

    least: float = 0.9
    most: float = 1.5


@dataclass(frozen=True)
class Comparison:
    """The model as it would be and the current one, on what customers took next.

    Attributes
    ----------
    cut
        First day of what was to be foreseen.
    users
        How many customers were asked for.
    new, current
        NDCG@100 of each.
    p_value
        Of the two being equal, paired over customers.
    """

    cut: str
    users: int
    new: float
    current: float
    p_value: float

    @property
    def worse(self) -> bool:
        """Whether the new one is worse, and not by chance."""
        return self.new < self.current and self.p_value < SURE


def data_for(
    recipe: Recipe, store: Store, url: str, source: str | None = None
) -> tuple[Dataset, Recipe]:
    """Return what to train on, and the recipe that says so.

    That is what was trained on last time, read anew, with the store's events.

    Parameters
    ----------
    recipe
        How it was trained last time.
    store, url
        The store, and its URL with the password.
    source
        Another source to read, instead of last time's.

    Raises
    ------
    DataError
        The source cannot be read; the message says so.
    """
    source = recipe.source if source is None else source
    if source is None or source in (store.shown, url):
        return load_store(url, recipe.spec), replace(recipe, source=None)
    if "***" in source:
        raise UsageError(f"{source}: its password is not kept; give the URL with --data")
    dataset = load_data(source if is_url(source) else Path(source), recipe.spec)
    origin = dataset.source if is_url(source) else str(Path(source).resolve())
    return with_store(dataset, store, recipe.spec), replace(recipe, source=origin)


def check_shares(now: Dataset, last: DataFacts, shares: Shares) -> None:
    """Refuse data that is much less, or much more, than the last time.

    Raises
    ------
    RefusedError
        A count is out of bounds; the message names it.
    """
    counts = {
        "interactions": (now.interactions.n_events, last.interactions),
        "users": (len(now.users), last.users),
        "items": (len(now.items), last.items),
    }
    for name, (count, before) in counts.items():
        share = count / max(before, 1)
        if not shares.least <= share <= shares.most:
            raise RefusedError(
                f"{now.source}: {count:,} {name} are {share:.0%} of the last training's "
                f"{before:,}; from {shares.least:.0%} to {shares.most:.0%} is allowed "
                "(--least, --most, or --force)"
            )


def compare(current: Artifact, dataset: Dataset, recipe: Recipe, options: RunOptions) -> Comparison:
    """Compare a training on this data with the current model's, by the temporal protocol.

    What customers first took in the last horizon of the current model's data is to be found: data
    that is known to be good, since it is live. Either side learns from its own data before that,
    with its own settings, and is given the customers' histories as its own data has them.

    Raises
    ------
    RefusedError
        The data does not allow it.
    """
    try:
        split, horizon = _last_horizon(current.interactions)
        new_split, there = _as_seen_by(dataset, current, split, horizon)
    except UsageError as error:
        raise RefusedError(
            f"cannot be compared with the current model: {error}; see --force"
        ) from error
    last = Recipe.of(current.manifest)
    values = np.zeros((len(split.test.users), 2))
    values[there, 0] = _measured(new_split, recipe, options)
    values[:, 1] = _measured(split, last, options)
    p_value = paired_p_values(values, np.random.default_rng(options.seed))[0, 1]
    new, old = values.mean(axis=0)
    return Comparison(split.label, len(values), float(new), float(old), float(p_value))


def retrain(
    models: Path,
    dataset: Dataset,
    recipe: Recipe,
    options: RunOptions,
    comparison: Comparison | None,
) -> Published:
    """Train on all of the data and publish it, unless the comparison speaks against it.

    Raises
    ------
    RefusedError
        The new model would be worse than the current one.
    """
    if comparison is not None and comparison.worse:
        raise RefusedError(
            f"the new model would be worse: {METRIC} {comparison.new:.4f}, the current one's is "
            f"{comparison.current:.4f} (p = {comparison.p_value:.3g}); nothing was published "
            "(--force does)"
        )
    return train_and_publish(models, dataset, recipe, options)


def _last_horizon(interactions: Interactions) -> tuple[Split, timedelta]:
    """Cut before the last horizon of the data."""
    if interactions.times is None or interactions.newest is None:
        raise UsageError("the data has no times")
    span = (interactions.newest - int(interactions.times.min())) // MICROSECONDS_PER_DAY
    days = max(1, min(_LONGEST, span // 5))
    cut = np.datetime64(interactions.newest, "us").astype("datetime64[D]") - np.timedelta64(days)
    horizon = timedelta(days=days + 1)
    return next(temporal_splits(interactions, [cut.item()], horizon)), horizon


def _as_seen_by(
    dataset: Dataset, current: Artifact, split: Split, horizon: timedelta
) -> tuple[Split, npt.NDArray[np.int64]]:
    """Return the split with another data set's past, and which of its test users that knows."""
    events = dataset.interactions
    if events.times is None or split.cut is None:
        raise UsageError("the data has no times")
    place_of = {current.items[item]: place for place, item in enumerate(split.items.tolist())}
    columns = np.array([place_of.get(item, len(place_of)) for item in dataset.items.ids])
    past = events.where((events.times < split.cut) & (columns[events.items] < len(place_of)))
    past = replace(past, items=columns[past.items].astype(np.int32), n_items=len(place_of))
    training = temporal_training(past, horizon)
    test = split.test
    codes = [dataset.users.code(current.users[user]) for user in test.users.tolist()]
    known = np.flatnonzero(
        [code is not None and past.indptr[code] < past.indptr[code + 1] for code in codes]
    )
    if not len(known):
        raise UsageError("the new data knows none of the customers")
    given = past.rows(np.array([codes[place] for place in known], np.int64))
    probe = Probe(test.users[known], given, test.target.rows(known), test.at)
    return replace(split, training=training, test=probe), known


def _measured(split: Split, recipe: Recipe, options: RunOptions) -> npt.NDArray[np.float64]:
    """Return the metric of each test user of a split."""
    entry = recipe.entry
    model = fit_chosen(entry.name, entry.settings, entry.weighting, split.training, options)
    measure = Measure(split, int(split.items.max()) + 1, (100,))
    return measure(model, entry.weighting).values[METRIC]


def last_recipe(models: Path) -> tuple[Artifact, Recipe]:
    """Return the current model and how it was trained."""
    current = load_current(models)
    return current, Recipe.of(current.manifest)
