"""A Mult-VAE 600-200 as it is before training, published with users to measure on."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from recsys.artifacts import publish
from recsys.ids import IdMap
from recsys.interactions.catalogue import Catalogue
from recsys.interactions.dataset import Dataset
from recsys.interactions.tables import Interactions
from recsys.interactions.weighting import Weighting
from recsys.models.autoencoders.mult_vae import MultVAE


def publish_drawn(
    models: Path, n_items: int, n_users: int, lengths: tuple[int, int] = (5, 80)
) -> None:
    """Publish a model with weights as drawn at random; histories are of skewed popularity.

    Parameters
    ----------
    models
        Folder of models.
    n_items, n_users
        Sizes.
    lengths
        A history has from the first to below the second of these events.
    """
    rng = np.random.default_rng(1)
    of_users = rng.integers(*lengths, n_users)
    items = np.minimum((n_items * rng.random(of_users.sum()) ** 3).astype(np.int64), n_items - 1)
    users = np.repeat(np.arange(n_users), of_users)
    interactions = Interactions.from_events(
        users,
        items,
        shape=(n_users, n_items),
        times=rng.integers(1_300_000_000, 1_320_000_000, len(items)) * 1_000_000,
    )
    catalogue = Catalogue(
        [f"Product number {item}" for item in range(n_items)],
        [(f"category {item % 20}",) for item in range(n_items)],
        rng.uniform(1, 9, n_items),
        {},
    )
    dataset = Dataset(
        name=f"drawn-{n_items}",
        source="generated",
        fingerprint="0" * 64,
        interactions=interactions,
        users=IdMap(f"user-{user}" for user in range(n_users)),
        items=IdMap(f"item-{item}" for item in range(n_items)),
        catalogue=catalogue,
        weighting=Weighting(),
    )
    publish(models, MultVAE.restore(MultVAE().config, n_items, _tensors(n_items, rng)), dataset)


def _tensors(n_items: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    shapes = {"first": (n_items, 600), "encoder.0": (400, 600), "decoder.0": (600, 200)}
    shapes |= {"decoder.2": (n_items, 600)}
    tensors = {}
    for name, shape in shapes.items():
        bound = np.sqrt(6 / sum(shape))
        tensors[f"{name}.weight"] = rng.uniform(-bound, bound, shape).astype(np.float32)
        width = shape[1] if name == "first" else shape[0]
        tensors[f"{name}.bias"] = rng.normal(0, 0.001, width).astype(np.float32)
    return tensors
