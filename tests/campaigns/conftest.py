from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from recsys.artifacts import publish
from recsys.campaigns.spec import CampaignSpec
from recsys.ids import IdMap
from recsys.interactions.catalogue import Catalogue
from recsys.interactions.dataset import Dataset
from recsys.interactions.tables import FloatArray, Histories, Interactions
from recsys.interactions.weighting import Weighting
from recsys.models.linear import EASE
from recsys.recommender import Recommender
from recsys.store.store import Store, open_store

N_USERS, N_ITEMS = 40, 24
GREEDY, EMPTY, CURSED = "greedy", "0009", "cursed"  # took all but two items; none; item 5, alone
DAY = 86_400_000_000

Asked = Callable[..., CampaignSpec]


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
    categories: list[tuple[str, ...]] = [
        (("mugs",), ("plates",), ("mugs", "gifts"), ())[item % 4] for item in range(N_ITEMS)
    ]
    style = [None if item % 5 == 0 else f"style {item % 7}" for item in range(N_ITEMS)]
    prices = np.where(np.arange(N_ITEMS) % 6 == 0, np.nan, np.arange(N_ITEMS) / 2)
    return Dataset(
        name="shop",
        source="generated",
        fingerprint="0" * 64,
        interactions=interactions,
        users=IdMap([*(f"{user:03}" for user in range(N_USERS - 3)), GREEDY, CURSED, EMPTY]),
        items=IdMap(f"{item:04}" for item in range(N_ITEMS)),
        catalogue=Catalogue(titles, categories, prices, {"style": style}),
        weighting=Weighting(half_life_days=30),
    )


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with two published models, of which the second is current."""
    folder = tmp_path_factory.mktemp("campaigns") / "models"
    dataset = make_dataset()
    histories = dataset.weighting.histories(dataset.interactions)
    for l2 in (10.0, 200.0):
        publish(folder, EASE(EASE.config_type(l2=l2)).fit(histories), dataset)
    return folder


@pytest.fixture(scope="session")
def recommender(models: Path) -> Recommender:
    return Recommender.open(models)


@pytest.fixture(scope="session")
def asked(models: Path) -> Asked:
    """Return a function that makes a spec of an audience and what else differs from defaults."""

    def make(users: Path, **others: object) -> CampaignSpec:
        return CampaignSpec(users, **{"models": models, "workers": 1, **others})  # type: ignore[arg-type]

    return make


@pytest.fixture
def moody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the model fail on a batch in which someone took item 5."""
    score = EASE._score

    def moody_score(self: EASE, histories: Histories) -> FloatArray:
        if 5 in histories.matrix.indices:
            raise ValueError("item 5\nmakes me sad")
        return score(self, histories)

    monkeypatch.setattr(EASE, "_score", moody_score)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store.db'}"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    store = open_store(url)
    yield store
    store.close()
