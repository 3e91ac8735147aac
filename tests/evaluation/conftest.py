"""A small shop whose customers have tastes, so that models differ."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from recsys.ids import IdMap
from recsys.interactions.catalogue import Catalogue
from recsys.interactions.dataset import Dataset
from recsys.interactions.tables import MICROSECONDS_PER_DAY, Interactions
from recsys.interactions.weighting import Weighting


@pytest.fixture(scope="session")
def shop() -> Dataset:
    """160 users in four tastes, 48 items, events over 200 days."""
    rng = np.random.default_rng(7)
    n_users, n_items = 160, 48
    users = np.repeat(np.arange(n_users), rng.integers(4, 20, n_users))
    own = rng.random(len(users)) < 0.8
    items = np.where(
        own, users % 4 * 12 + rng.integers(0, 12, len(users)), rng.integers(0, n_items, len(users))
    )
    start = int(datetime(2020, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
    interactions = Interactions.from_events(
        users,
        items,
        shape=(n_users, n_items),
        times=start + rng.integers(0, 200, len(users)) * MICROSECONDS_PER_DAY,
    )
    ids = [f"{item:03}" for item in range(n_items)]
    return Dataset(
        name="small-shop",
        source="small-shop",
        fingerprint="5" * 64,
        interactions=interactions,
        users=IdMap(str(user) for user in range(n_users)),
        items=IdMap(ids),
        catalogue=Catalogue.untitled(ids),
        weighting=Weighting(),
    )
