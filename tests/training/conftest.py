import numpy as np
import pytest
import scipy.sparse as sp

from recsys.interactions.tables import HeldOut, Histories


def tastes(n_users: int, n_items: int, seed: int) -> np.ndarray:
    """Weighted histories, dense, of users who mostly take items of one taste out of four."""
    generator = np.random.default_rng(seed)
    same = np.arange(n_users)[:, None] % 4 == np.arange(n_items) % 4
    held = generator.random((n_users, n_items)) < np.where(same, 0.5, 0.08)
    held[np.arange(n_users), generator.integers(n_items, size=n_users)] = True
    return np.where(held, generator.uniform(0.2, 1, held.shape), 0).astype(np.float32)


@pytest.fixture
def shop() -> Histories:
    return Histories(sp.csr_array(tastes(90, 30, seed=0)))


@pytest.fixture
def held_out() -> HeldOut:
    dense = tastes(40, 30, seed=1)
    given = np.random.default_rng(2).random(dense.shape) < 0.6
    target = ((dense > 0) & ~given).astype(np.float32)
    return HeldOut(Histories(sp.csr_array(dense * given)), Histories(sp.csr_array(target)))
