"""A log of four tastes: what most accounts take tells what is strange."""

from __future__ import annotations

import numpy as np

from recsys.interactions.tables import MICROSECONDS_PER_DAY, Interactions

N_ITEMS = 80


def four_tastes(n_users: int, seed: int) -> Interactions:
    """Accounts of 3 items or more, nine in ten of their own taste, bought on days of one year."""
    rng = np.random.default_rng(seed)
    taste = np.arange(n_users)[:, None] % 4 == np.arange(N_ITEMS) % 4
    wide = rng.lognormal(0, 0.5, (n_users, 1))
    held = rng.random((n_users, N_ITEMS)) < np.minimum(0.9, np.where(taste, 0.4, 0.012) * wide)
    for user in range(n_users):
        held[user, user % 4 + 4 * rng.choice(N_ITEMS // 4, 3, replace=False)] = True
    users, items = np.nonzero(held)
    days = rng.integers(0, 365, len(users))
    times = 1_300_000_000_000_000 + days * MICROSECONDS_PER_DAY
    values = rng.integers(1, 9, len(users)).astype(np.float32)
    shape = (n_users, N_ITEMS)
    return Interactions.from_events(users, items, shape=shape, times=times, values=values)
