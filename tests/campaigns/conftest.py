from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recsys.artifacts import load_current, publish
from recsys.ids import IdMap
from recsys.interactions.catalogue import Catalogue
from recsys.interactions.dataset import Dataset
from recsys.interactions.tables import FloatArray, Histories, Interactions
from recsys.interactions.weighting import Weighting
from recsys.models.linear import EASE
from recsys.recommender import Recommender

N_USERS, N_ITEMS = 40, 24
GREEDY, EMPTY, CURSED = "greedy", "0009", "cursed"  # took all but two items; none; item 5, alone
DAY = 86_400_000_000


class Moody(EASE):
    """Cannot score a batch in which someone took item 5."""

    def _score(self, histories: Histories) -> FloatArray:
        if 5 in histories.matrix.indices:
            raise ValueError("item 5\nmakes me sad")
        return super()._score(histories)


def make_dataset() -> Dataset:
    rng = np.random.default_rng(5)
    events = [
        (user, item)
        for user in range(N_USERS - 3)
        for item in rng.choice(N_ITEMS - 1, int(rng.integers(2, 9)), replace=False)
        if item != 5
    ]
    greedy, cursed = N_USERS - 3, N_USERS - 2  # the last has no history
    events += [(greedy, item) for item in range(N_ITEMS - 1) if item != 5] + [(cursed, 5)]
    users, items = np.array(events).T
    interactions = Interactions.from_events(
        users, items, shape=(N_USERS, N_ITEMS), times=np.arange(len(events)) * DAY
    )
    titles = [f"Tasse «{item}», große" for item in range(N_ITEMS)]
    titles[3], titles[4] = '=HYPERLINK("http://example.org")', 'A "quoted"\ntitle'
    return Dataset(
        name="shop",
        source="generated",
        fingerprint="0" * 64,
        interactions=interactions,
        users=IdMap([*(f"{user:03}" for user in range(N_USERS - 3)), GREEDY, CURSED, EMPTY]),
        items=IdMap(f"{item:04}" for item in range(N_ITEMS)),
        catalogue=Catalogue(titles, [()] * N_ITEMS, np.full(N_ITEMS, np.nan)),
        weighting=Weighting(half_life_days=30),
    )


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with one published model."""
    folder = tmp_path_factory.mktemp("campaigns") / "models"
    dataset = make_dataset()
    histories = dataset.weighting.histories(dataset.interactions)
    publish(folder, EASE().fit(histories), dataset)
    return folder


@pytest.fixture(scope="session")
def recommender(models: Path) -> Recommender:
    return Recommender.open(models)


@pytest.fixture(scope="session")
def moody(models: Path) -> Recommender:
    """Return a recommender whose model fails on the history of one user."""
    artifact = load_current(models)
    histories = artifact.weighting.histories(artifact.interactions)
    return Recommender(replace(artifact, model=Moody().fit(histories)))
