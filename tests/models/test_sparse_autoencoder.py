from functools import partial

import numpy as np
import pytest
import scipy.sparse as sp

import shops
from recsys.interactions.tables import Histories
from recsys.models.autoencoders.sparse import SparseAutoencoder, SparseAutoencoderConfig
from recsys.models.base import RunOptions

tastes = partial(shops.tastes, weighted=False)

CPU = RunOptions(seed=3, device="cpu")


def fitted(active: int, units: int = 40) -> SparseAutoencoder:
    config = SparseAutoencoderConfig(
        epochs=12, batch_size=30, learning_rate=0.02, units=units, active=active
    )
    return SparseAutoencoder(config).fit(tastes(90, 0), options=CPU)


def codes(model: SparseAutoencoder, shop: Histories) -> np.ndarray:
    """Compute the codes anew from the published weights."""
    learnt, X = model.tensors(), shop.matrix.toarray()
    X = X / np.linalg.norm(X, axis=1, keepdims=True)
    full = np.maximum(X @ learnt["first.weight"] + learnt["first.bias"], 0)
    least = np.sort(full, axis=1)[:, -model.config.active, None]
    return np.where(full >= least, full, 0)


@pytest.mark.parametrize("active", [1, 4])
def test_no_more_than_the_share_asked_for_is_ever_active(active: int) -> None:
    model = fitted(active)
    shares = [point["active_share"] for point in model.curve]
    assert len(shares) == 12
    assert 0.5 * active / 40 < max(shares) <= active / 40
    assert (codes(model, tastes(50, 5)) > 0).mean() <= active / 40


def test_with_every_unit_allowed_the_code_is_not_sparse() -> None:
    shares = [point["active_share"] for point in fitted(40).curve]
    assert min(shares) > 0.3


def test_scores_come_from_the_active_units_alone() -> None:
    model, shop = fitted(4), tastes(20, 5)
    learnt = model.tensors()
    scores = codes(model, shop) @ learnt["decoder.weight"].T + learnt["decoder.bias"]
    np.testing.assert_allclose(model.score(shop), scores, rtol=1e-4, atol=1e-5)


def test_histories_of_different_tastes_activate_different_units() -> None:
    model = fitted(4)
    pure = (np.arange(4)[:, None] == np.arange(30) % 4).astype(np.float32)
    active = codes(model, Histories(sp.csr_array(pure))) > 0
    shared = (active[:, None] & active).sum(2)
    assert active.any(axis=1).all()
    assert shared[~np.eye(4, dtype=bool)].mean() < 2


def test_more_active_units_than_there_are_means_all_of_them() -> None:
    assert np.isfinite(fitted(active=100, units=8).score(tastes(5, 5))).all()
