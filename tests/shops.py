"""Small shops for tests: customers of whom each mostly takes items of one taste out of four."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from recsys.interactions.tables import HeldOut, Histories

N_ITEMS = 30


def tastes(n_users: int, seed: int, *, weighted: bool = True) -> Histories:
    """Histories over 30 items, none empty, with weights from .2 to 1 or of 1."""
    generator = np.random.default_rng(seed)
    same = np.arange(n_users)[:, None] % 4 == np.arange(N_ITEMS) % 4
    held = generator.random((n_users, N_ITEMS)) < np.where(same, 0.5, 0.08)
    held[np.arange(n_users), generator.integers(N_ITEMS, size=n_users)] = True
    weights = held * generator.uniform(0.2, 1, held.shape) if weighted else held
    return Histories(sp.csr_array(weights.astype(np.float32)))


def validation(*, weighted: bool = True) -> HeldOut:
    """40 other customers, of whose items about three in five are given."""
    dense = tastes(40, 1, weighted=weighted).matrix.toarray()
    given = np.random.default_rng(2).random(dense.shape) < 0.6
    target = ((dense > 0) & ~given).astype(np.float32)
    return HeldOut(Histories(sp.csr_array(dense * given)), Histories(sp.csr_array(target)))
