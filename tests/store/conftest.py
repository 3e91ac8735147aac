from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from recsys.artifacts import publish
from recsys.ids import IdMap
from recsys.interactions.catalogue import Catalogue
from recsys.interactions.dataset import Dataset
from recsys.interactions.tables import MICROSECONDS_PER_DAY, Interactions
from recsys.interactions.weighting import Weighting
from recsys.models.registry import make_model
from recsys.recommender import Recommender
from recsys.store.store import Store, open_store

N_USERS, N_ITEMS = 60, 30


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    store = open_store(url)
    yield store
    store.close()


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Iterator[Store]:
    store = open_store(f"sqlite:///{tmp_path / 'store.db'}")
    yield store
    store.close()


def _shop() -> Dataset:
    """Users u00 … u59, of whom the last has no history, and items i00 … i29 of three rooms."""
    rng = np.random.default_rng(3)
    events = [
        (user, int(rng.integers(10)) * 3 + user % 3)
        for user in range(N_USERS - 1)
        for _ in range(int(rng.integers(3, 8)))
    ]
    users, items = np.array(events).T
    interactions = Interactions.from_events(
        users,
        items,
        shape=(N_USERS, N_ITEMS),
        times=(15_000 + rng.integers(0, 200, len(events))) * MICROSECONDS_PER_DAY,
        values=np.ones(len(events), np.float32),
    )
    prices = np.arange(N_ITEMS, dtype=np.float64)
    return Dataset(
        name="shop",
        source="generated",
        fingerprint="0" * 64,
        interactions=interactions,
        users=IdMap(f"u{user:02}" for user in range(N_USERS)),
        items=IdMap(f"i{item:02}" for item in range(N_ITEMS)),
        catalogue=Catalogue(
            [f"Thing {item}" for item in range(N_ITEMS)],
            [(("kitchen", "garden", "desk")[item % 3],) for item in range(N_ITEMS)],
            prices,
            {"colour": ["red"] * N_ITEMS},
        ),
        weighting=Weighting(half_life_days=60),
    )


@pytest.fixture(scope="session")
def shop() -> Dataset:
    return _shop()


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory, shop: Dataset) -> Path:
    """A folder of models without a store; don't change it."""
    folder = tmp_path_factory.mktemp("store") / "models"
    histories = shop.weighting.histories(shop.interactions)
    publish(folder, make_model("ease").fit(histories), shop)
    return folder


@pytest.fixture(scope="session")
def trained(models: Path) -> Recommender:
    return Recommender.open(models)
